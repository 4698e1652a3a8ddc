"""Idioms on integers: digits, divisors, sequences, bases, conditions."""

from opencwm.data.programs.template import idiom

FAMILY = "numbers"


def _add(names: str, signature: str, text: str, **more: object) -> None:
    IDIOMS.append(idiom(FAMILY, names, signature, text, **more))  # type: ignore[arg-type]


IDIOMS = []  # type: ignore[var-annotated]

_add(
    "sum_digits digit_sum add_digits total_digits",
    "digits -> int",
    """
def $f($n):
    $total = 0
    «while $n > 0:
        «$digit = $n % 10
        §add $total <- $digit¦§add $total <- $n % 10»
        «$n //= 10¦$n = $n // 10»¦for $digit in str($n):
        §add $total <- int($digit)¦while $n:
        $n, $digit = divmod($n, 10)
        §add $total <- $digit»
    return $total
""",
    doc="Add the digits of a number.",
)

_add(
    "count_digits num_digits digit_count count_matching_digits",
    "digits -> int",
    """
def $f($n):
    $count = 0
    «while $n > 0:
        $digit = $n % 10
        if @pred($digit):
            §add $count <- 1
        $n //= 10¦for $ch in str($n):
        if «int($ch) % 2 == 0¦$ch in '13579'¦$ch > '4'¦$ch == '@int(0,9)'¦int($ch) > @int(2,6)»:
            §add $count <- 1»
    return $count
""",
    doc="Count some of the digits.",
)

_add(
    "reverse_number reverse_digits flip_number mirrored",
    "digits -> int",
    """
def $f($n):
    «$res = 0
    while $n > 0:
        $res = $res * 10 + $n % 10
        $n //= 10
    return $res¦return int(str($n)[::-1])¦$sign = 1
    if $n < 0:
        $sign = -1
        $n = -$n
    $res = int(str($n)[::-1])
    return $sign * $res¦$res = 0
    while $n:
        $digit = $n % 10
        $res = $res * 10 + $digit
        $n = $n // 10
    return $res»
""",
    doc="Turn the digits around.",
)

_add(
    "digital_root reduce_digits repeated_sum single_digit",
    "digits -> int",
    """
def $f($n):
    while $n «> 9¦>= 10»:
        «$n = sum(int($ch) for $ch in str($n))¦$total = 0
        «while $n > 0:
            $total += $n % 10
            $n //= 10¦for $ch in str($n):
            $total += int($ch)»
        $n = $total»
    return $n
""",
    level=0.2,
)

_add(
    "gcd greatest_common_divisor common_divisor",
    "pos, pos -> int",
    """
def $f($a, $b):
    while $b« != 0»:
        «$a, $b = $b, $a % $b¦$tmp = $b
        $b = $a % $b
        $a = $tmp¦$c = $a % $b
        $a = $b
        $b = $c»
    return $a
""",
    doc="The greatest common divisor.",
    weight=1.5,
)

_add(
    "lcm least_common_multiple common_multiple",
    "small, small -> int",
    """
def $f($a, $b):
    «$x = max($a, $b)
    while $x % $a != 0 or $x % $b != 0:
        $x += «1¦max($a, $b)»
    return $x¦$x, $y = $a, $b
    while $y:
        $x, $y = $y, $x % $y
    return $a * $b // $x»
""",
    level=0.2,
)

_add(
    "is_prime check_prime prime has_no_divisor",
    "int -> bool",
    """
def $f($n):
    if $n < 2:
        return False
    «for $i in range(2, $n):
        if $n % $i == 0:
            return False
    return True¦$i = 2
    while $i * $i <= $n:
        if $n % $i == 0:
            return False
        $i += 1
    return True¦for $i in range(2, int($n ** 0.5) + 1):
        if $n % $i == 0:
            return False
    return True¦return all($n % $i != 0 for $i in range(2, $n))»
""",
    doc="Whether a number is prime.",
    weight=1.5,
)

_add(
    "primes_up_to find_primes list_primes primes_below",
    "pos -> list[int]",
    """
def $f($n):
    $out = []
    for $x in range(2, $n« + 1»):
        «if all($x % $y != 0 for $y in $out):
            §push $out <- $x¦$flag = True
        for $y in «$out¦range(2, $x)»:
            if $x % $y == 0:
                $flag = False
                break
        if $flag:
            §push $out <- $x¦for $y in $out:
            if $x % $y == 0:
                break
        else:
            $out.append($x)»
    return $out
""",
    level=0.5,
)

_add(
    "factorial fact product_up_to",
    "small -> int",
    """
def $f($n):
    $res = 1
    «for $i in range(«1¦2», $n + 1):
        $res «*= $i¦= $res * $i»¦while $n > 1:
        $res *= $n
        $n -= 1»
    return $res
""",
)

_add(
    "fibonacci fib nth_term fib_number",
    "small -> int",
    """
def $f($n):
    «$a, $b = «0, 1¦1, 1¦@int(1,3), @int(1,4)»
    for «_¦$i» in range($n):
        «$a, $b = $b, $a + $b¦$c = $a + $b
        $a = $b
        $b = $c»
    return $a¦$out = [0, 1]
    while len($out) <= $n:
        §push $out <- $out[-1] + $out[-2]
    return $out[$n]»
""",
)

_add(
    "fib_list fibonacci_up_to sequence_terms first_terms",
    "small -> list[int]",
    """
def $f($n):
    $out = [«0, 1¦1, 1¦@int(1,3), @int(1,5)»]
    «while len($out) < $n:
        §push $out <- $out[-1] + $out[-2]
    return $out«[:$n]»¦for $i in range(2, $n):
        §push $out <- $out[$i - 1] + $out[$i - 2]
    return $out»
""",
)

_add(
    "collatz_steps collatz count_steps steps_to_one",
    "small -> int",
    """
def $f($n):
    $steps = 0
    while $n != 1:
        «if $n % 2 == 0:
            $n «//= 2¦= $n // 2»
        else:
            $n = 3 * $n + 1¦§set $n = $n % 2 == 0 ? $n // 2 : $n * 3 + 1»
        §add $steps <- 1
    return $steps
""",
    level=0.3,
    doc="Count the steps down to one.",
)

_add(
    "collatz_path hailstone chain trajectory",
    "small -> list[int]",
    """
def $f($n):
    $out = [$n]
    while $n «> 1¦!= 1» and len($out) < @int(6,12):
        §set $n = $n % 2 == 0 ? $n // 2 : $n * 3 + 1
        §push $out <- $n
    return $out
""",
    level=0.3,
)

_add(
    "halve_until halving count_halvings half_steps",
    "pos, small -> int",
    """
def $f($n, $k):
    $count = 0
    while $n > $k:
        «$n //= 2¦$n = $n // 2¦$n -= max(1, $n // 2)»
        §add $count <- 1
    return «$count¦$n¦$count * 10 + $n»
""",
)

_add(
    "divisors factors all_divisors get_factors",
    "pos -> list[int]",
    """
def $f($n):
    «§map $out = $i for $i in range(1, $n + 1) if $n % $i == 0
    return $out¦$out = []
    $i = 1
    while $i * $i <= $n:
        if $n % $i == 0:
            §push $out <- $i
            if $i != $n // $i:
                §push $out <- $n // $i
        $i += 1
    return sorted($out)»
""",
    doc="All divisors of a number.",
)

_add(
    "prime_factors factorize factor_list decompose",
    "pos -> list[int]",
    """
def $f($n):
    $out = []
    $k = 2
    while $n > 1:
        «while $n % $k == 0:
            §push $out <- $k
            $n //= $k
        $k += 1¦if $n % $k == 0:
            §push $out <- $k
            $n = $n // $k
        else:
            $k += 1»
    return $out
""",
    level=0.3,
)

_add(
    "to_base convert_base in_base base_digits",
    "nat, base -> str",
    """
def $f($n, $base):
    if $n == 0:
        return '0'
    $u = ''
    while $n > 0:
        «$u = str($n % $base) + $u
        $n //= $base¦$n, $digit = divmod($n, $base)
        $u = str($digit) + $u»
    return $u
""",
    level=0.2,
    doc="Write a number in another base.",
)

_add(
    "to_binary binary_digits bits_of as_bits",
    "nat -> list[int]",
    """
def $f($n):
    $out = []
    while $n «> 0¦»:
        «§push $out <- $n % 2
        $n //= 2¦§push $out <- $n & 1
        $n >>= 1»
    «return $out[::-1]¦$out.reverse()
    return $out¦return $out»
""",
)

_add(
    "from_binary binary_to_int parse_bits bin_value",
    "binary -> int",
    """
def $f($s):
    $res = 0
    «§each $ch in $s:
        «$res = $res * 2 + int($ch)¦$res *= 2
        if $ch == '1':
            $res += 1»¦for $i, $ch in enumerate(reversed($s)):
        if $ch == '1':
            $res += 2 ** $i»
    return $res
""",
)

_add(
    "count_bits ones popcount bit_count",
    "nat -> int",
    """
def $f($n):
    $count = 0
    while $n« > 0»:
        «§add $count <- $n & 1
        $n >>= 1¦if $n % 2 == 1:
            $count += 1
        $n = $n // 2¦$n &= $n - 1
        $count += 1»
    return $count
""",
    level=0.2,
)

_add(
    "power raise_to pow_int my_power",
    "small, small -> int",
    """
def $f($base, $power):
    $res = 1
    «for _ in range($power):
        $res *= $base¦while $power > 0:
        $res «*= $base¦= $res * $base»
        $power -= 1»
    return $res
""",
)

_add(
    "fast_power quick_pow binary_power",
    "tiny, small -> int",
    """
def $f($base, $power):
    $res = 1
    while $power > 0:
        if $power % 2 == 1:
            $res *= $base
        $base *= $base
        $power //= 2
    return $res
""",
    level=0.4,
)

_add(
    "sum_range sum_between add_range total_range",
    "small, pos -> int",
    """
def $f($start, $stop):
    $total = 0
    §up $i in $start .. $stop:
        «if @pred($i):
            §add $total <- $i¦§add $total <- $i¦§add $total <- @expr($i)¦if @pred($i):
            continue
        $total += $i»
    return $total
""",
    doc="Add up a range of numbers.",
)

_add(
    "sum_multiples multiples_total sum_if_divisible",
    "pos -> int",
    """
def $f($n):
    «$total = 0
    for $i in range($n):
        if $i % «3 == 0 or $i % 5¦2 == 0 and $i % 3¦4» == 0:
            §add $total <- $i
    return $total¦return sum($i for $i in range($n) if $i % «3¦4¦5» == 0)»
""",
)

_add(
    "fizz_buzz fizz label_number fizzbuzz",
    "int -> str",
    """
def $f($n):
    if $n % «15¦6¦10» == 0:
        return «'fizzbuzz'¦@label»
    «elif¦if» $n % 3 == 0:
        return «'fizz'¦@label»
    «elif¦if» $n % «5¦2¦4» == 0:
        return «'buzz'¦@label»
    return «str($n)¦f'{$n}'¦str($n)»
""",
)

_add(
    "fizz_list make_labels fizz_sequence",
    "pos -> list",
    """
def $f($n):
    $out = []
    for $i in range(1, $n + 1):
        if $i % 3 == 0:
            §push $out <- @label
        elif $i % 2 == 0:
            §push $out <- @label
        else:
            §push $out <- «$i¦str($i)»
    return $out
""",
)

_add(
    "grade classify category rate_level bracket rank_of",
    "int -> str",
    """
def $f($x):
    if $x «<¦<=» @int(2,5):
        return @label
    elif $x < @int(6,10):
        return @label
    «elif $x < @int(11,30):
        return @label
    »else:
        return @label
""",
    doc="Name the range that a number falls into.",
)

_add(
    "grade_of letter_grade grade score_to_grade",
    "int -> str",
    """
def $f($x):
    «for $limit, $grade in [(@int(15,20), 'A'), (@int(9,13), 'B'), (@int(4,7), 'C')]:
        if $x >= $limit:
            return $grade
    return «'F'¦'D'»¦$grade = 'F'
    if $x >= @int(5,8):
        $grade = 'C'
    if $x >= @int(9,14):
        $grade = 'B'
    if $x >= @int(15,25):
        $grade = 'A'
    return $grade»
""",
)

_add(
    "sign_of sign compare_to_zero sgn",
    "int -> int",
    """
def $f($x):
    if $x > 0:
        return 1
    «elif¦if» $x < 0:
        return -1
    return 0
""",
    weight=0.6,
)

_add(
    "clamp limit_value bounded restrict",
    "int, small, pos -> int",
    """
def $f($x, $a, $b):
    «if $x < $a:
        return $a
    if $x > $b:
        return $b
    return $x¦return max($a, min($x, $b))¦$res = $x
    if $res < $a:
        $res = $a
    elif $res > $b:
        $res = $b
    return $res»
""",
)

_add(
    "max_of_three largest_of middle_of three_max",
    "int, int, int -> int",
    """
def $f($a, $b, $c):
    «$best = $a
    if $b > $best:
        $best = $b
    if $c > $best:
        $best = $c
    return $best¦if $a >= $b and $a >= $c:
        return $a
    elif $b >= $c:
        return $b
    return $c¦return sorted([$a, $b, $c])[«0¦1¦2¦-1»]»
""",
)

_add(
    "price_after discounted final_price cost_with_tax total_cost",
    "pos, percent -> int",
    """
def $f($amount, $rate):
    $dx = $amount * $rate // 100
    «if $dx > @int(1,6):
        $dx = @int(1,6)
    »return $amount «-¦+» $dx
""",
)

_add(
    "shipping_cost fare ticket_price fee_for tariff",
    "int, bool? -> int",
    """
def $f($x, $flag=False):
    $amount = @int(2,10)
    if $x > @int(3,12):
        §add $amount <- «@int(1,6)¦$x * 2¦($x - 3) * 2»
    if $flag:
        $amount «-= @int(1,3)¦*= 2¦//= 2»
    return $amount
""",
)

_add(
    "count_down countdown tick_down count_to_zero",
    "small -> list[int]",
    """
def $f($n):
    $out = []
    while $n > 0:
        §push $out <- $n
        «$n -= 1¦$n -= @int(1,2)¦$n = $n - 1»
    «§push $out <- 0
    »return $out
""",
)

_add(
    "savings_months months_until grow_until days_until weeks_needed",
    "small, two_digits -> int",
    """
def $f($start, $target):
    $balance = $start
    $count = 0
    while $balance < $target« and $count < @int(6,10)»:
        «§add $balance <- «$balance // 2 + 1¦@int(4,12)¦$balance»¦$balance = $balance * 2»
        §add $count <- 1
    return «$count¦$balance»
""",
    doc="How many periods until the target is reached.",
)

_add(
    "sum_of_squares square_sum power_sum sum_cubes",
    "small -> int",
    """
def $f($n):
    §sum $total = $i ** «2¦2¦3» for $i in range(1, $n + 1)
    return $total
""",
)

_add(
    "integer_sqrt isqrt floor_root square_root",
    "nat -> int",
    """
def $f($n):
    $res = 0
    while ($res + 1) * ($res + 1) <= $n:
        §add $res <- 1
    return $res
""",
)

_add(
    "is_perfect perfect_number equals_divisors is_abundant",
    "pos -> bool",
    """
def $f($n):
    §sum $total = $i for $i in range(1, $n) if $n % $i == 0
    §yes $total «==¦==¦>» $n
""",
)

_add(
    "is_armstrong narcissistic digits_power_sum",
    "digits -> bool",
    """
def $f($n):
    $u = str($n)
    $k = len($u)
    §sum $total = int($ch) ** «2¦$k» for $ch in $u
    §yes $total == $n
""",
    level=0.4,
)

_add(
    "triangle_kind triangle classify_triangle",
    "small, small, small -> str",
    """
def $f($a, $b, $c):
    if $a + $b <= $c or $a + $c <= $b or $b + $c <= $a:
        return 'none'
    if $a == $b == $c:
        return 'equal'
    if $a == $b or $b == $c or $a == $c:
        return 'two'
    return 'all'
""",
)

_add(
    "convert_time to_clock format_minutes split_time",
    "two_digits -> str",
    """
def $f($n):
    $a = $n // «60¦12¦24»
    $b = $n % «60¦12¦24»
    return «f'{$a}:{$b}'¦f'{$a}h {$b}m'¦str($a) + ':' + str($b).zfill(2)¦f'{$a:02d}:{$b:02d}'»
""",
)

_add(
    "time_split to_parts split_units hours_minutes",
    "two_digits -> tuple[int, int]",
    """
def $f($n):
    «$a, $b = divmod($n, «7¦12¦24¦60»)¦$a = $n // «7¦12»
    $b = $n - $a * 7»
    «if $b > @int(3,8):
        $a += 1
        $b = 0
    »return $a, $b
""",
)

_add(
    "step_sum weird_sum loop_total mixed_sum",
    "small, small -> int",
    """
def $f($a, $b):
    $total = 0
    for $i in range($a):
        for $j in range(«$b¦$i¦$i + 1¦@int(2,3)»):
            «§add $total <- $i * $j¦§add $total <- $i + $j¦if $i «!=¦<¦>» $j:
                §add $total <- 1»
    return $total
""",
    level=0.3,
)

_add(
    "pythagorean triples find_triples right_triangles",
    "small -> list",
    """
def $f($n):
    $out = []
    for $a in range(1, $n + 1):
        for $b in range($a, $n + 1):
            $c = $a «+¦*» $b
            if $c «% @int(3,5) == 0¦<= $n¦== $n»:
                §push $out <- ($a, $b«, $c»)
    return $out
""",
    level=0.5,
)

_add(
    "multiplication_row times_table multiples make_multiples",
    "small, small -> list[int]",
    """
def $f($n, $k):
    §map $out = $n * $i for $i in range(1, $k + 1)
    return $out
""",
)

_add(
    "next_multiple round_up_to next_divisible",
    "int, small -> int",
    """
def $f($n, $k):
    while $n % $k != 0:
        §add $n <- 1
    return $n
""",
)

_add(
    "guess_number find_root bisect_root guess",
    "pos -> int",
    """
def $f($target):
    $left, $right = 0, @int(20,64)
    $steps = 0
    while $left < $right:
        $mid = ($left + $right) // 2
        §add $steps <- 1
        if $mid < $target:
            $left = $mid + 1
        else:
            $right = $mid
    return «$left¦$steps¦$left»
""",
    level=0.4,
)

_add(
    "average_of mean_value safe_ratio ratio_percent",
    "int, small -> float",
    """
def $f($a, $b):
    «if $b == 0:
        return 0.0
    »return «$a / $b¦round($a / $b, 1)¦round(100 * $a / ($a + $b), 1)¦round($a / $b, 2)»
""",
    weight=0.7,
)

_add(
    "temperature to_fahrenheit convert_temp scaled",
    "int -> float",
    """
def $f($x):
    $res = $x * «1.5¦0.5¦1.8¦0.25» «+ 32¦- 2¦+ 1»
    «if $res > @int(10,40):
        return @int(10,40)
    »return «$res¦round($res, 1)»
""",
    weight=0.4,
)

_add(
    "calculate apply_op compute arithmetic",
    "sign, int, small -> int",
    """
def $f($op, $a, $b):
    if $op == '+':
        return $a + $b
    elif $op == '-':
        return $a - $b
    elif $op == '*':
        return $a * $b
    «elif $op == '/':
        «if $b == 0:
            raise ZeroDivisionError(@msg)
        »return $a // $b
    »«return None¦raise ValueError(«@msg¦f'unknown {$op}'»)¦else:
        return 0»
""",
)
