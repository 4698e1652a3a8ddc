"""`python -m opencwm.data.programs [N] [--seed S] [--level L] [--show]`: the generator's report, or its programs."""

import argparse

from opencwm.data.programs.dial import Dial
from opencwm.data.programs.generate import generate
from opencwm.data.programs.report import measure


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m opencwm.data.programs", description="Measure the generator.")
    parser.add_argument("num_programs", nargs="?", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--level", type=float, default=1.0, help="difficulty, from 0 to 1")
    parser.add_argument("--show", action="store_true", help="print the programs instead of the numbers")
    options = parser.parse_args()
    dial = Dial(level=options.level)
    if options.show:
        for seed in range(options.seed, options.seed + options.num_programs):
            program = generate(seed, dial)
            print(f"{program.source}\n# {program.call}   (seed {seed}, {program.kind})\n")
    else:
        print(measure(options.num_programs, options.seed, dial).text())


if __name__ == "__main__":
    main()
