# ruff: noqa: E501  (tables and templates: a line is one entry)
"""What people call things: pools of names by role, and words to put into strings.

A role is what a variable is for (`xs` a list of integers, `total` something that adds up, `ch` one character). The
part of a pool before `|` holds telling names, the part after it the short ones. No pool holds a builtin's name.
"""

import random

ROLES = {
    "xs": "numbers values nums data items scores readings amounts samples points levels ages sizes prices costs "
    "measurements marks entries weights heights temps sequence series counts_list daily votes | xs nums a arr lst l v",
    "ys": "others second extra right_list targets more offsets weights2 new_values updates factors | ys b arr2 other",
    "x": "number value num item score element entry current amount reading val price sample | x n v e num",
    "y": "other next_value second candidate neighbor b_value following | y m b z",
    "n": "limit number count_to size target_number upper value amount n_items length num total_size max_value | n k m num",
    "k": "step factor offset delta shift width k_value threshold multiplier amount period margin bonus | k m d q",
    "i": "i i i index idx pos position | i i j p",
    "j": "j j inner other_index second_index jj | j j k q",
    "a": "first left_value a x start_value one | a x p",
    "b": "second right_value b y end_value two | b y q",
    "c": "third c z middle_value extra_value | c z r",
    "total": "total total result acc running_sum amount summed sum_so_far running combined total_value | total s t acc r",
    "count": "count counter hits matches found num_found occurrences tally seen_count how_many | count c cnt n_hits",
    "best": "best largest highest top biggest maximum current_max best_so_far winner peak record | best m top mx",
    "least": "smallest lowest least minimum current_min bottom best shortest_value | low mn least",
    "out": "result results output kept selected collected new_list filtered answer final picked built chosen "
    "processed new_values | res out r ans ret",
    "res": "result answer outcome output value final ret | res r out ans",
    "s": "text message sentence phrase line string content input_text raw title label source | s text t st",
    "t": "other pattern second suffix query part target_text fragment needle | t p u sub",
    "u": "cleaned converted new_text rebuilt built formatted output encoded masked | u r new res",
    "w": "word name term token item label entry | w word s x",
    "ws": "words names terms tokens labels items entries titles cities animals colors fruits tags keys_list | ws words a lst",
    "ch": "char letter ch character symbol c | c ch x l",
    "d": "counts scores inventory stock prices data table mapping ages totals record lookup values_by_name grades "
    "quantities votes points | d dic m data",
    "dd": "other updates changes extra new_data second incoming delta | e d2 other",
    "key": "key name word item label field product k | k key x",
    "val": "value val score amount quantity number price points | v val y",
    "seen": "seen visited known used found unique observed taken | seen s u",
    "cur": "current cur now state active chunk value | cur c x",
    "prev": "previous prev last before old | prev p last",
    "left": "left low start lo begin first | l i lo",
    "right": "right high end hi stop last | r j hi",
    "mid": "mid middle center half pivot_index | m mid",
    "stack": "stack pending opened history todo pile | stack st s",
    "queue": "queue waiting line todo pending tasks | q queue todo",
    "row": "row line cells record values | row r",
    "grid": "grid matrix table rows board cells | m grid g",
    "col": "col column j c_index | c j",
    "tmp": "temp tmp saved hold swap_value | t tmp",
    "e": "error err exc e problem ex | e ex",
    "digit": "digit last_digit d remainder piece | d r",
    "num": "number n value remaining rest current | n x num",
    "parts": "parts pieces fields chunks tokens sections columns | parts p ps",
    "part": "part piece field chunk token section | p part x",
    "pair": "pair entry item record row couple | p pair x",
    "pairs": "pairs entries items records rows orders purchases results_list | ps pairs items",
    "name": "name person user player student label owner | n name",
    "target": "target goal wanted value needle expected query | t x target",
    "pos": "position pos index place where found_at spot | p pos idx",
    "limit": "limit maximum cap threshold bound ceiling max_allowed | lim m cap",
    "start": "start begin initial first_value base origin | s start a",
    "stop": "stop end last_value finish limit until | e end b",
    "sep": "sep separator delimiter joiner glue | sep c",
    "base": "base radix root_value b | b base",
    "power": "power exponent exp times p | p e n",
    "size": "size length num_items n total_len width | n size ln",
    "gap": "gap difference diff delta distance change | d diff g",
    "window": "window chunk part segment slice_values block | w win",
    "groups": "groups buckets by_key grouped collected bins categories | g groups res",
    "group": "group bucket members bin_items batch | g group",
    "amount": "amount sum_value cost money payment cash deposit | amount x a",
    "balance": "balance funds money credit remaining savings | bal b",
    "flag": "found ok valid changed done is_ok success matched swapped ready | ok flag f",
    "carry": "carry extra overflow rest borrow | c carry",
    "coin": "coin piece unit value note bill | c coin",
    "coins": "coins units denominations notes pieces values | coins cs",
    "steps": "steps count moves rounds iterations turns num_steps | steps n c",
    "head": "head first top front initial | h first x",
    "tail": "tail rest others remaining remainder_list | t rest xs",
    "depth": "depth level nesting current_depth height | d depth",
    "vowels": "vowels letters allowed wanted special | v vs",
    "op": "op command action operation instruction kind | op cmd o",
    "ops": "ops commands actions operations instructions log | ops cmds",
    "func": "func operation action callback transform apply_fn rule | f fn g",
    "table": "table mapping lookup codes index_map names_map | t m table",
    "memo": "memo cache known computed stored | memo cache",
    "rate": "rate percent ratio factor share | r p",
    "avg": "average mean avg middle | avg m",
    "obj": "obj counter account thing box item tracker store | o c obj",
    "left_part": "left lower first_half before smaller front | l a",
    "right_part": "right upper second_half after larger back | r b",
    "grade": "grade level rank category status label kind | g grade",
    "flag2": "exists present has_match seen_before repeated | has b",
    "sign": "sign direction factor sgn | s sign",
    "day": "day week month entry_day hour | d day",
    "code": "code key_number shifted ordinal number | c code",
    "attempt": "attempt trial round_no turn_no try_no | t k",
    "default": "default fallback missing otherwise | default dft",
    "args": "args numbers values amounts parts | args xs",
    "dx": "extra bonus penalty discount tax adjustment correction | e dx",
}

WORDS = (
    "apple banana cherry grape lemon melon mango pear plum fig kiwi orange peach berry bread butter cheese milk rice "
    "soup salt sugar honey tea coffee juice water cat dog bird fish horse sheep goat cow lion tiger bear wolf fox frog "
    "duck crow owl ant bee fly mouse rabbit snake red blue green yellow black white pink brown gray gold silver one "
    "two three four five six seven ten sun moon star sky rain snow wind cloud storm sea river lake hill rock sand tree "
    "leaf root seed flower grass wood house door wall roof room floor table chair bed lamp desk book page pen paper "
    "map key lock box bag cup plate bowl fork spoon knife car bus train bike boat ship road bridge park city town farm "
    "shop bank school music song dance game ball team goal race jump run walk swim climb read write draw paint cook "
    "bake sing play work sleep dream think learn teach help open close start stop fast slow hot cold big small long "
    "short old new good bad happy sad kind brave quiet loud soft hard light dark left right north south east west "
    "day week month year hour time noon level radar civic noon refer stats wow mom code test data file line list loop "
    "hello world python alpha beta gamma delta hat coat shoe sock ring coin card note mail letter number point"
).split()
PEOPLE = (
    "ann bob carl dana eve finn gina hugo ivy jack kate leo mia nina otto paul rosa sam tina uma vera will zoe".split()
)
UNITS = "apples pears pens cups books eggs nails bolts bags boxes hats coins".split()

_POOLS = {
    role: tuple(tuple(part.split()) for part in text.split("|")) if "|" in text else (tuple(text.split()),) * 2
    for role, text in ROLES.items()
}


def pool(role: str, short: bool) -> tuple[str, ...]:
    """The names of a role; KeyError for a role that there is not."""
    return _POOLS[role][1 if short else 0]


class Names:
    """The names of one function's variables: a slot keeps its name, and two slots never share one."""

    def __init__(self, rng: random.Random, short: bool, taken: set[str]) -> None:
        self.rng = rng
        self.short = short
        self.taken = set(taken)
        self.chosen: dict[str, str] = {}

    def of(self, slot: str) -> str:
        """The name of a slot such as `x`, `x2` or `total`; its role is the slot without its number."""
        name = self.chosen.get(slot)
        if name is None:
            name = self.fresh(slot.rstrip("0123456789"))
            self.chosen[slot] = name
        return name

    def fresh(self, role: str) -> str:
        names = pool(role, self.short)
        for _ in range(6):
            name = self.rng.choice(names)
            if name not in self.taken:
                break
        else:
            name = next((each for each in (*names, *pool(role, not self.short)) if each not in self.taken), "")
            number = 2
            while not name:
                longer = f"{names[0]}{number}"
                name = "" if longer in self.taken else longer
                number += 1
        self.taken.add(name)
        return name
