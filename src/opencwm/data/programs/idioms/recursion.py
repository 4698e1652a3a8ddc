"""Idioms that call themselves on something smaller, and generator functions."""

from opencwm.data.programs.template import idiom

FAMILY = "recursion"


def _add(names: str, signature: str, text: str, **more: object) -> None:
    IDIOMS.append(idiom(FAMILY, names, signature, text, **more))  # type: ignore[arg-type]


IDIOMS = []  # type: ignore[var-annotated]

_add(
    "factorial fact product_to",
    "small -> int",
    """
def $f($n):
    if $n <= «1¦0»:
        return 1
    return $n * $f($n - 1)
""",
    level=0.2,
    weight=1.5,
)

_add(
    "fibonacci fib steps_ways",
    "tiny -> int",
    """
def $f($n):
    if $n «<¦<=» «2¦1»:
        return «$n¦1»
    return $f($n - 1) + $f($n - 2)
""",
    level=0.4,
)

_add(
    "fib memo_fib fib_cached",
    "small, no_memo? -> int",
    """
def $f($n, $memo=None):
    if $memo is None:
        $memo = {}
    if $n < 2:
        return $n
    if $n not in $memo:
        $memo[$n] = $f($n - 1, $memo) + $f($n - 2, $memo)
    return $memo[$n]
""",
    level=0.6,
)

_add(
    "sum_list total add_all rec_sum sum_rec",
    "ints -> int",
    """
def $f($xs):
    if «not $xs¦len($xs) == 0¦$xs == []»:
        return 0
    «return $xs[0] + $f($xs[1:])¦return $f($xs[:-1]) + $xs[-1]¦$head, *$tail = $xs
    return $head + $f($tail)¦$head = $xs[0]
    if @pred($head):
        return $head + $f($xs[1:])
    return $f($xs[1:])»
""",
    level=0.3,
    weight=1.5,
)

_add(
    "list_max biggest rec_max maximum_of",
    "ints1 -> int",
    """
def $f($xs):
    if len($xs) == 1:
        return $xs[0]
    $res = $f($xs[1:])
    «return $xs[0] if $xs[0] > $res else $res¦return max($xs[0], $res)¦if $xs[0] > $res:
        return $xs[0]
    return $res»
""",
    level=0.3,
)

_add(
    "gcd rec_gcd common_divisor",
    "pos, pos -> int",
    """
def $f($a, $b):
    if $b == 0:
        return $a
    return $f($b, $a % $b)
""",
    level=0.2,
    weight=1.3,
)

_add(
    "sum_digits digit_sum add_digits",
    "digits -> int",
    """
def $f($n):
    if $n < 10:
        return $n
    return $n % 10 + $f($n // 10)
""",
    level=0.2,
    weight=1.2,
)

_add(
    "count_digit digits_count num_digits",
    "digits -> int",
    """
def $f($n):
    if $n == 0:
        return 0
    «return 1 + $f($n // 10)¦if $n % 10 «> 4¦== 0¦< 5¦!= 1»:
        return 1 + $f($n // 10)
    return $f($n // 10)»
""",
    level=0.2,
)

_add(
    "power raise_to pow_rec exponent_of",
    "tiny, small -> int",
    """
def $f($base, $power):
    if $power == 0:
        return 1
    «return $base * $f($base, $power - 1)¦$res = $f($base, $power // 2)
    if $power % 2 == 0:
        return $res * $res
    return $res * $res * $base»
""",
    level=0.2,
)

_add(
    "reverse rev_text flip turn_around",
    "word -> str",
    """
def $f($s):
    if «len($s) <= 1¦not $s¦$s == ''»:
        return $s
    return «$f($s[1:]) + $s[0]¦$s[-1] + $f($s[:-1])»
""",
    level=0.2,
    weight=1.2,
)

_add(
    "is_palindrome palin check_rec symmetric",
    "palin -> bool",
    """
def $f($s):
    if len($s) < 2:
        return True
    if $s[0] != $s[-1]:
        return False
    return $f($s[1:-1])
""",
    level=0.3,
    weight=1.2,
)

_add(
    "to_binary binary_text bits_of in_binary",
    "nat -> str",
    """
def $f($n):
    if $n < 2:
        return str($n)
    return $f($n // 2) + str($n % 2)
""",
    level=0.3,
)

_add(
    "binary_search search_rec find_between bisect",
    "sorted, elem, zero?, no_stop? -> int",
    """
def $f($xs, $target, $left=0, $right=None):
    if $right is None:
        $right = len($xs) - 1
    if $left > $right:
        return -1
    $mid = ($left + $right) // 2
    if $xs[$mid] == $target:
        return $mid
    if $xs[$mid] < $target:
        return $f($xs, $target, $mid + 1, $right)
    return $f($xs, $target, $left, $mid - 1)
""",
    level=0.5,
)

_add(
    "flatten flatten_deep unnest all_items",
    "nested -> list[int]",
    """
def $f($xs):
    $out = []
    for $x in $xs:
        if isinstance($x, list):
            «$out.extend($f($x))¦$out += $f($x)»
        else:
            $out.append($x)
    return $out
""",
    level=0.5,
    weight=1.2,
)

_add(
    "nested_sum deep_sum sum_nested total_nested",
    "nested -> int",
    """
def $f($xs):
    $total = 0
    for $x in $xs:
        «if isinstance($x, list):
            $total += $f($x)
        else:
            $total += $x¦$total += $f($x) if isinstance($x, list) else $x»
    return $total
""",
    level=0.5,
)

_add(
    "depth_of max_depth nesting list_depth",
    "nested -> int",
    """
def $f($xs):
    if not isinstance($xs, list):
        return 0
    $best = 0
    for $x in $xs:
        $best = max($best, $f($x))
    return $best + 1
""",
    level=0.6,
)

_add(
    "count_down countdown steps_down descend",
    "small -> list[int]",
    """
def $f($n):
    if $n <= 0:
        return []
    return [$n] + $f($n - «1¦2»)
""",
    level=0.1,
)

_add(
    "collatz steps_to_one chain_length",
    "small -> int",
    """
def $f($n):
    if $n == 1:
        return 0
    if $n % 2 == 0:
        return 1 + $f($n // 2)
    return 1 + $f(3 * $n + 1)
""",
    level=0.5,
)

_add(
    "count_char count_letter times_in letter_count",
    "word, char -> int",
    """
def $f($s, $ch):
    if not $s:
        return 0
    «$count = 1 if $s[0] == $ch else 0
    return $count + $f($s[1:], $ch)¦if $s[0] == $ch:
        return 1 + $f($s[1:], $ch)
    return $f($s[1:], $ch)»
""",
    level=0.3,
)

_add(
    "remove_char drop_letter without_char",
    "word, char -> str",
    """
def $f($s, $ch):
    if $s == '':
        return ''
    $head, $tail = $s[0], $s[1:]
    if $head == $ch:
        return $f($tail, $ch)
    return $head + $f($tail, $ch)
""",
    level=0.3,
)

_add(
    "permutations arrangements all_orders orderings",
    "three_chars -> list[str]",
    """
def $f($s):
    if len($s) <= 1:
        return [$s]
    $out = []
    for $i in range(len($s)):
        for $part in $f($s[:$i] + $s[$i + 1:]):
            $out.append($s[$i] + $part)
    return $out
""",
    level=0.8,
)

_add(
    "subsets all_subsets power_set combinations",
    "three_ints -> list",
    """
def $f($xs):
    if not $xs:
        return [[]]
    $out = $f($xs[1:])
    return $out + [[$xs[0]] + $x for $x in $out]
""",
    level=0.7,
)

_add(
    "merge_sort sort_halves sorted_rec",
    "ints -> list[int]",
    """
def $f($xs):
    if len($xs) <= 1:
        return $xs
    $mid = len($xs) // 2
    $left_part = $f($xs[:$mid])
    $right_part = $f($xs[$mid:])
    $out = []
    while $left_part and $right_part:
        if $left_part[0] <= $right_part[0]:
            $out.append($left_part.pop(0))
        else:
            $out.append($right_part.pop(0))
    return $out + $left_part + $right_part
""",
    level=0.9,
)

_add(
    "quick_sort quicksort sort_rec pivot_sort",
    "ints -> list[int]",
    """
def $f($xs):
    if len($xs) «<= 1¦< 2»:
        return $xs
    $x = $xs[0]
    $left_part = [$y for $y in $xs[1:] if $y < $x]
    $right_part = [$y for $y in $xs[1:] if $y >= $x]
    return $f($left_part) + [$x] + $f($right_part)
""",
    level=0.6,
    weight=1.2,
)

_add(
    "hanoi tower_moves count_moves move_disks",
    "tiny -> int",
    """
def $f($n):
    «if $n == 0:
        return 0
    return 2 * $f($n - 1) + 1¦if $n == 1:
        return 1
    $res = $f($n - 1)
    return $res + 1 + $res»
""",
    level=0.4,
)

_add(
    "ackermann_like climb ways_to_climb count_paths",
    "tiny, tiny -> int",
    """
def $f($a, $b):
    if $a == 1 or $b == 1:
        return 1
    return $f($a - 1, $b) + $f($a, $b - 1)
""",
    level=0.6,
)

_add(
    "even_check is_even check_even parity",
    "small -> bool",
    """
def $f($n):
    if $n == 0:
        return True
    if $n == 1:
        return False
    return $f($n - 2)

""",
    level=0.2,
    weight=0.7,
)

_add(
    "is_even even_number / is_odd odd_number",
    "small -> bool",
    """
def $g($n):
    if $n == 0:
        return False
    return $f($n - 1)

def $f($n):
    if $n == 0:
        return True
    return $g($n - 1)
""",
    level=0.4,
    weight=0.8,
)

_add(
    "multiply mult times_rec product_of",
    "small, small -> int",
    """
def $f($a, $b):
    if $b == 0:
        return 0
    return $a + $f($a, $b - 1)
""",
    level=0.2,
    weight=0.8,
)

_add(
    "total_words process first_of each_item",
    "words -> int",
    """
def $f($ws):
    if not $ws:
        return 0
    $w = $ws[0]
    return @count($w) + $f($ws[1:])
""",
    level=0.3,
)

_add(
    "zip_rec pair_lists combine_rec",
    "ints, more_ints -> list",
    """
def $f($xs, $ys):
    if not $xs or not $ys:
        return []
    return [«($xs[0], $ys[0])¦$xs[0] + $ys[0]¦$xs[0] * $ys[0]»] + $f($xs[1:], $ys[1:])
""",
    level=0.4,
)

_add(
    "filter_rec keep_rec only_if select_rec",
    "ints -> list[int]",
    """
def $f($xs):
    if not $xs:
        return []
    $head = $xs[0]
    if @pred($head):
        return [$head] + $f($xs[1:])
    return $f($xs[1:])
""",
    level=0.3,
)

_add(
    "knapsack best_sum_under max_under can_fill",
    "three_ints, pos -> int",
    """
def $f($xs, $limit):
    if not $xs:
        return 0
    $res = $f($xs[1:], $limit)
    if $xs[0] <= $limit:
        $cur = $xs[0] + $f($xs[1:], $limit - $xs[0])
        $res = max($res, $cur)
    return $res
""",
    level=0.8,
)

_add(
    "subset_sum can_make reachable_sum adds_up_to",
    "three_ints, pos -> bool",
    """
def $f($xs, $target):
    if $target == 0:
        return True
    if not $xs or $target < 0:
        return False
    return $f($xs[1:], $target - $xs[0]) or $f($xs[1:], $target)
""",
    level=0.7,
)

_add(
    "collect take_all use_gen run_gen / numbers_up count_up gen_numbers evens",
    "small -> list[int]",
    """
def $g($n):
    «$i = 0
    while $i < $n:
        yield «$i¦$i * 2¦$i * $i»
        $i += 1¦for $i in range($n):
        «yield «$i + 1¦$i * 2¦$n - $i»¦if @pred($i):
            yield $i»»

def $f($k):
    «return list($g($k))¦$total = 0
    for $x in $g($k):
        §add $total <- $x
    return $total¦return sum($g($k))¦return [$x for $x in $g($k) if @pred($x)]¦$out = []
    for $x in $g($k):
        if $x > @int(3,8):
            break
        $out.append($x)
    return $out»
""",
    level=0.5,
    weight=3,
)

_add(
    "gather use_items run_all total_from / walk each_pair running produce",
    "ints1 -> list[int]",
    """
def $g($xs):
    «$total = 0
    for $x in $xs:
        $total += $x
        yield $total¦for $x in $xs:
        if @pred($x):
            yield @expr($x)¦$prev = $xs[0]
    for $x in $xs[1:]:
        yield $x - $prev
        $prev = $x»

def $f($ys):
    «return list($g($ys))¦$res = 0
    for $y in $g($ys):
        $res = max($res, $y)
    return $res¦$out = []
    for $i, $y in enumerate($g($ys)):
        $out.append($y * $i)
    return $out¦return «max¦sum»(list($g($ys)) + [0])»
""",
    level=0.5,
    weight=2,
)

_add(
    "first_words take_some show_parts / split_gen each_word parts_of",
    "text -> list[str]",
    """
def $g($s):
    for $w in $s.split():
        «yield @wexpr($w)¦if @wpred($w):
            yield $w»

def $f($t):
    «return @sep.join($g($t))¦$out = []
    for $part in $g($t):
        $out.append($part)
    return $out¦return list($g($t))»
""",
    level=0.5,
)
