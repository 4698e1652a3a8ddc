# ruff: noqa: E501  (tables and templates: a line is one entry)
"""Idioms on lists: accumulating, filtering, searching, sorting, windows, grids, stacks and queues."""

from opencwm.data.programs.template import idiom

FAMILY = "lists"


def _add(names: str, signature: str, text: str, **more: object) -> None:
    IDIOMS.append(idiom(FAMILY, names, signature, text, **more))  # type: ignore[arg-type]


IDIOMS = []  # type: ignore[var-annotated]

_add(
    "sum_list total_of add_all sum_values get_total",
    "ints -> int",
    """
def $f($xs):
    §sum $total = «$x¦$x¦@expr($x)» for $x in $xs«¦ if @pred($x)»
    «if $total > @int(10,40):
        «return @int(10,40)¦$total -= @int(5,20)¦$total //= 2»
    »return $total
""",
    weight=2,
    doc="Add up the values.",
)

_add(
    "count_if count_matching how_many count_where num_matching",
    "ints -> int",
    """
def $f($xs):
    «§sum $count = 1 for $x in $xs if @pred($x)
    return $count¦$count = 0
    §each $x in $xs:
        if @pred($x):
            §add $count <- 1
        «elif @pred($x):
            $count «-= 1¦+= 2»
        »
    return $count¦return len([$x for $x in $xs if @pred($x)])»
""",
    weight=1.5,
    doc="Count the values that pass.",
)

_add(
    "filter_values keep_if select pick only_matching",
    "ints -> list[int]",
    """
def $f($xs):
    §map $out = $x for $x in $xs if @pred($x)
    «$out.sort()
    ¦$out.reverse()
    ¦»return $out«¦[::-1]¦»
""",
    weight=1.5,
    doc="Keep the values that pass.",
)

_add(
    "map_values transform scale_all apply_all convert_all",
    "ints -> list[int]",
    """
def $f($xs):
    §map $out = @expr($x) for $x in $xs«¦¦ if @pred($x)»
    return $out
""",
    weight=1.5,
    doc="Change every value.",
)

_add(
    "adjust update_values process_all modify change_values",
    "ints -> list[int]",
    """
def $f($xs):
    $out = []
    §each $x in $xs:
        if @pred($x):
            §push $out <- @expr($x)
        «elif @pred($x):
            «continue¦§push $out <- @int(0,9)»
        »else:
            §push $out <- «$x¦@linear($x)¦0»
    return $out
""",
    weight=1.5,
)

_add(
    "in_place double_in_place replace_values overwrite",
    "ints -> list[int]",
    """
def $f($xs):
    for $i in range(len($xs)):
        if @pred($xs[$i]):
            $xs[$i] = «@linear($xs[$i])¦$xs[$i] - @int(1,9)¦0¦$i»
        «else:
            $xs[$i] «+= @int(1,5)¦= -$xs[$i]¦*= 2¦-= $i»
    »
    return $xs
""",
)

_add(
    "find_max largest biggest get_max highest",
    "ints1 -> int",
    """
def $f($xs):
    «$best = $xs[0]
    §each $x in $xs:
        if $x > $best:
            $best = $x
    return $best¦$best = $xs[0]
    for $x in $xs[1:]:
        $best = max($best, $x)
    return $best¦$best = None
    for $x in $xs:
        if $best is None or $x > $best:
            $best = $x
    return $best»
""",
    doc="The greatest value.",
    weight=1.5,
)

_add(
    "find_min smallest lowest get_min",
    "ints1 -> int",
    """
def $f($xs):
    «$least = $xs[0]
    for $i in range(1, len($xs)):
        if $xs[$i] < $least:
            $least = $xs[$i]
    return $least¦$least = «1000¦999¦100»
    §each $x in $xs:
        if $x < $least:
            $least = $x
    return $least»
""",
)

_add(
    "min_max bounds extremes value_range low_high",
    "ints1 -> tuple[int, int]",
    """
def $f($xs):
    $least = $best = $xs[0]
    for $x in $xs[1:]:
        if $x < $least:
            $least = $x
        «elif¦if» $x > $best:
            $best = $x
    return $least, $best
""",
    doc="The least and the greatest value.",
)

_add(
    "arg_max index_of_max best_index position_of_max",
    "ints1 -> int",
    """
def $f($xs):
    $pos = 0
    «for $i, $x in enumerate($xs):
        if $x «>¦<» $xs[$pos]:
            $pos = $i¦for $i in range(1, len($xs)):
        if $xs[$i] «>¦>=¦<» $xs[$pos]:
            $pos = $i»
    return $pos
""",
)

_add(
    "second_largest runner_up second_best",
    "ints2 -> int",
    """
def $f($xs):
    «$best = $least = «-1¦-100»
    for $x in $xs:
        if $x > $best:
            $least = $best
            $best = $x
        elif $x > $least«¦ and $x != $best»:
            $least = $x
    return $least¦$out = sorted($xs«, reverse=True)
    return $out[1]¦)
    return $out[-2]»»
""",
)

_add(
    "running_sum prefix_sums cumulative partial_sums accumulate",
    "ints -> list[int]",
    """
def $f($xs):
    $total = 0
    $out = []
    §each $x in $xs:
        §add $total <- $x
        §push $out <- $total
    return $out
""",
    weight=1.3,
    doc="All sums of the first values.",
)

_add(
    "running_max max_so_far rising_peaks records_list",
    "ints1 -> list[int]",
    """
def $f($xs):
    $best = $xs[0]
    $out = []
    for $x in $xs:
        «if $x > $best:
            $best = $x
        §push $out <- $best¦if $x >= $best:
            §push $out <- $x
            $best = $x»
    return $out
""",
)

_add(
    "differences deltas changes_between gaps",
    "ints2 -> list[int]",
    """
def $f($xs):
    «§map $out = $xs[$i] - $xs[$i - 1] for $i in range(1, len($xs))
    return $out¦$out = []
    for $a, $b in zip($xs, $xs[1:]):
        §push $out <- «$b - $a¦abs($b - $a)»
    return $out¦$out = []
    $prev = $xs[0]
    for $x in $xs[1:]:
        §push $out <- $x - $prev
        $prev = $x
    return $out»
""",
)

_add(
    "count_rises num_increases times_increased count_drops",
    "ints -> int",
    """
def $f($xs):
    $count = 0
    for $i in range(1, len($xs)):
        if $xs[$i] «>¦<¦>=¦==» $xs[$i - 1]:
            §add $count <- 1
    return $count
""",
)

_add(
    "is_sorted ascending in_order check_order",
    "ints -> bool",
    """
def $f($xs):
    «for $i in range(len($xs) - 1):
        if $xs[$i] > $xs[$i + 1]:
            return False
    return True¦return all($a <= $b for $a, $b in zip($xs, $xs[1:]))¦§yes $xs == sorted($xs)¦$prev = None
    for $x in $xs:
        if $prev is not None and $x < $prev:
            return False
        $prev = $x
    return True»
""",
)

_add(
    "longest_run longest_streak best_streak max_run",
    "dups -> int",
    """
def $f($xs):
    $best = 1
    $cur = 1
    for $i in range(1, len($xs)):
        if $xs[$i] «==¦>=¦==» $xs[$i - 1]:
            $cur += 1
            «$best = max($best, $cur)¦if $cur > $best:
                $best = $cur»
        else:
            $cur = 1
    return $best
""",
    level=0.2,
)

_add(
    "max_subarray best_sum largest_sum kadane",
    "steps -> int",
    """
def $f($xs):
    $best = $cur = $xs[0]
    for $x in $xs[1:]:
        «$cur = max($x, $cur + $x)¦if $cur < 0:
            $cur = $x
        else:
            $cur += $x»
        $best = max($best, $cur)
    return $best
""",
    level=0.4,
)

_add(
    "reverse_list reversed_copy backwards flip",
    "ints -> list[int]",
    """
def $f($xs):
    «return $xs[::-1]¦$out = []
    for $x in $xs:
        $out.insert(0, $x)
    return $out¦$left, $right = 0, len($xs) - 1
    while $left < $right:
        $xs[$left], $xs[$right] = $xs[$right], $xs[$left]
        $left += 1
        $right -= 1
    return $xs¦$out = []
    while $xs:
        §push $out <- $xs.pop()
    return $out¦return list(reversed($xs))»
""",
)

_add(
    "rotate rotate_list shift_left rotate_by",
    "ints1, small -> list[int]",
    """
def $f($xs, $k):
    «$k = $k % len($xs)
    return «$xs[$k:] + $xs[:$k]¦$xs[-$k:] + $xs[:-$k]»¦for _ in range($k):
        «$xs.append($xs.pop(0))¦$xs.insert(0, $xs.pop())¦$x = $xs.pop(0)
        $xs.append($x)»
    return $xs»
""",
)

_add(
    "remove_all delete_value without drop_value",
    "dups, elem -> list[int]",
    """
def $f($xs, $target):
    «while $target in $xs:
        $xs.remove($target)
    return $xs¦§map $out = $x for $x in $xs if $x != $target
    return $out¦$count = $xs.count($target)
    for _ in range($count):
        $xs.remove($target)
    return $xs»
""",
)

_add(
    "dedupe unique unique_in_order drop_repeats distinct",
    "dups -> list[int]",
    """
def $f($xs):
    «$out = []
    §each $x in $xs:
        if $x not in $out:
            §push $out <- $x
    return $out¦$seen = set()
    $out = []
    for $x in $xs:
        if $x in $seen:
            continue
        $seen.add($x)
        $out.append($x)
    return $out¦$out = [$xs[0]]
    for $x in $xs[1:]:
        if $x != $out[-1]:
            §push $out <- $x
    return $out¦return sorted(set($xs))»
""",
    doc="Drop repeated values, keep the order.",
    weight=1.3,
)

_add(
    "linear_search find_index search index_of locate",
    "ints, elem -> int",
    """
def $f($xs, $target):
    «for $i in range(len($xs)):
        if $xs[$i] == $target:
            return $i
    return -1¦for $i, $x in enumerate($xs):
        if $x == $target:
            return $i
    return -1¦$i = 0
    while $i < len($xs):
        if $xs[$i] == $target:
            return $i
        $i += 1
    return «-1¦None»¦$pos = -1
    for $i, $x in enumerate($xs):
        if $x == $target:
            $pos = $i
            break
    return $pos¦if $target in $xs:
        return $xs.index($target)
    return -1»
""",
    doc="Where a value is, or -1.",
    weight=1.3,
)

_add(
    "first_match find_first first_where first_over",
    "ints -> int",
    """
def $f($xs):
    «§each $x in $xs:
        if @pred($x):
            return $x
    return «-1¦0¦None¦-1»¦for $x in $xs:
        if @pred($x):
            $res = $x
            break
    else:
        $res = «-1¦None¦0»
    return $res¦return next(($x for $x in $xs if @pred($x)), «-1¦None»)»
""",
)

_add(
    "binary_search bisect find_sorted search_sorted",
    "sorted, elem -> int",
    """
def $f($xs, $target):
    $left, $right = 0, len($xs) - 1
    while $left <= $right:
        $mid = ($left + $right) // 2
        if $xs[$mid] == $target:
            return $mid
        «elif¦if» $xs[$mid] < $target:
            $left = $mid + 1
        else:
            $right = $mid - 1
    return -1
""",
    level=0.2,
    weight=1.5,
    doc="Look up a value by halving.",
)

_add(
    "insert_position bisect_left lower_bound where_to_insert",
    "sorted, int -> int",
    """
def $f($xs, $x):
    «$left = 0
    $right = len($xs)
    while $left < $right:
        $mid = ($left + $right) // 2
        if $xs[$mid] < $x:
            $left = $mid + 1
        else:
            $right = $mid
    return $left¦$pos = 0
    while $pos < len($xs) and $xs[$pos] < $x:
        $pos += 1
    return $pos¦for $i, $y in enumerate($xs):
        if $y >= $x:
            return $i
    return len($xs)»
""",
    level=0.2,
)

_add(
    "insert_sorted add_in_order insert_value place",
    "sorted, int -> list[int]",
    """
def $f($xs, $x):
    «$i = 0
    while $i < len($xs) and $xs[$i] < $x:
        $i += 1
    $xs.insert($i, $x)
    return $xs¦for $i in range(len($xs)):
        if $xs[$i] > $x:
            $xs.insert($i, $x)
            break
    else:
        $xs.append($x)
    return $xs¦return $xs[:2] + [$x] + $xs[2:]»
""",
)

_add(
    "bubble_sort sort_list sort_values order_numbers",
    "ints -> list[int]",
    """
def $f($xs):
    «$n = len($xs)
    for $i in range($n):
        for $j in range($n - 1 - $i):
            if $xs[$j] > $xs[$j + 1]:
                $xs[$j], $xs[$j + 1] = $xs[$j + 1], $xs[$j]
    return $xs¦$flag = True
    while $flag:
        $flag = False
        for $i in range(len($xs) - 1):
            if $xs[$i] > $xs[$i + 1]:
                $xs[$i], $xs[$i + 1] = $xs[$i + 1], $xs[$i]
                $flag = True
    return $xs»
""",
    level=0.5,
    weight=1.2,
)

_add(
    "insertion_sort sort_by_insertion sorted_list",
    "ints -> list[int]",
    """
def $f($xs):
    for $i in range(1, len($xs)):
        «$x = $xs[$i]
        $j = $i - 1
        while $j >= 0 and $xs[$j] > $x:
            $xs[$j + 1] = $xs[$j]
            $j -= 1
        $xs[$j + 1] = $x¦$j = $i
        while $j > 0 and $xs[$j - 1] > $xs[$j]:
            $xs[$j - 1], $xs[$j] = $xs[$j], $xs[$j - 1]
            $j -= 1»
    return $xs
""",
    level=0.5,
)

_add(
    "selection_sort sort_by_min arrange",
    "ints -> list[int]",
    """
def $f($xs):
    «for $i in range(len($xs)):
        $least = $i
        for $j in range($i + 1, len($xs)):
            if $xs[$j] < $xs[$least]:
                $least = $j
        $xs[$i], $xs[$least] = $xs[$least], $xs[$i]
    return $xs¦$out = []
    while $xs:
        $least = min($xs)
        $xs.remove($least)
        §push $out <- $least
    return $out»
""",
    level=0.4,
)

_add(
    "sort_by order_by sort_special arrange_by",
    "ints -> list[int]",
    """
def $f($xs):
    «return sorted($xs, key=lambda $x: @key($x)«, reverse=True»)¦$xs.sort(key=lambda $x: @key($x))
    return $xs«[:@int(2,4)]»¦$out = sorted($xs«, reverse=True»)
    return $out[:@int(2,4)]»
""",
    level=0.3,
    weight=1.3,
)

_add(
    "sort_words order_names by_length arrange_words",
    "words -> list[str]",
    """
def $f($ws):
    «return sorted($ws, key=lambda $w: @wkey($w)«, reverse=True»)¦$ws.sort(key=lambda $w: @wkey($w))
    return $ws¦$out = sorted($ws, key=len«, reverse=True»)
    return $out«¦[:2]»»
""",
    level=0.2,
    weight=1.3,
)

_add(
    "merge merge_sorted combine_sorted join_sorted",
    "sorted, sorted2 -> list[int]",
    """
def $f($xs, $ys):
    $out = []
    «$i = $j = 0
    while $i < len($xs) and $j < len($ys):
        if $xs[$i] «<=¦<» $ys[$j]:
            §push $out <- $xs[$i]
            $i += 1
        else:
            §push $out <- $ys[$j]
            $j += 1
    return $out + $xs[$i:] + $ys[$j:]¦while $xs and $ys:
        if $xs[0] < $ys[0]:
            §push $out <- $xs.pop(0)
        else:
            §push $out <- $ys.pop(0)
    $out.extend($xs)
    $out.extend($ys)
    return $out»
""",
    level=0.3,
    weight=1.2,
    doc="Merge two sorted lists.",
)

_add(
    "two_sum find_pair pair_with_sum has_pair",
    "ints2, pos -> tuple",
    """
def $f($xs, $target):
    «for $i in range(len($xs)):
        for $j in range($i + 1, len($xs)):
            if $xs[$i] + $xs[$j] == $target:
                return $i, $j
    return None¦$seen = {}
    for $i, $x in enumerate($xs):
        $y = $target - $x
        if $y in $seen:
            return $seen[$y], $i
        $seen[$x] = $i
    return None¦$seen = set()
    for $x in $xs:
        if $target - $x in $seen:
            return $target - $x, $x
        $seen.add($x)
    return ()»
""",
    level=0.2,
    weight=1.2,
)

_add(
    "two_pointer pair_sorted close_pair squeeze_sum",
    "sorted, pos -> list[int]",
    """
def $f($xs, $target):
    $left = 0
    $right = len($xs) - 1
    while $left < $right:
        $total = $xs[$left] + $xs[$right]
        if $total == $target:
            return [$xs[$left], $xs[$right]]
        if $total < $target:
            $left += 1
        else:
            $right -= 1
    return []
""",
    level=0.3,
)

_add(
    "count_pairs pairs_with num_pairs pair_count",
    "ints -> int",
    """
def $f($xs):
    $count = 0
    for $i in range(len($xs)):
        for $j in range($i + 1, len($xs)):
            if «$xs[$i] == $xs[$j]¦$xs[$i] > $xs[$j]¦$xs[$i] + $xs[$j] «> @int(8,20)¦== @int(5,12)»¦($xs[$i] + $xs[$j]) % @int(2,4) == 0¦abs($xs[$i] - $xs[$j]) < @int(2,5)»:
                §add $count <- 1
    return $count
""",
    level=0.3,
)

_add(
    "window_sums sliding_sum moving_total rolling",
    "ints1, tiny -> list[int]",
    """
def $f($xs, $k):
    «$out = []
    for $i in range(len($xs) - $k + 1):
        $window = $xs[$i:$i + $k]
        §push $out <- «sum($window)¦max($window)¦sum($window)¦min($window)»
    return $out¦$total = sum($xs[:$k])
    $out = [$total]
    for $i in range($k, len($xs)):
        $total += $xs[$i] - $xs[$i - $k]
        §push $out <- $total
    return $out»
""",
    level=0.3,
    weight=1.2,
)

_add(
    "best_window max_window_sum best_stretch",
    "ints1, tiny -> int",
    """
def $f($xs, $k):
    $cur = sum($xs[:$k])
    $best = $cur
    for $i in range($k, len($xs)):
        $cur += $xs[$i] - $xs[$i - $k]
        «if $cur > $best:
            $best = $cur¦$best = max($best, $cur)»
    return $best
""",
    level=0.3,
)

_add(
    "chunk split_chunks in_groups batches",
    "ints, tiny -> list[list[int]]",
    """
def $f($xs, $k):
    «$out = []
    for $i in range(0, len($xs), $k):
        §push $out <- $xs[$i:$i + $k]
    return $out¦return [$xs[$i:$i + $k] for $i in range(0, len($xs), $k)]¦$out = []
    $cur = []
    for $x in $xs:
        $cur.append($x)
        if len($cur) == $k:
            $out.append($cur)
            $cur = []
    if $cur:
        $out.append($cur)
    return $out¦$out = []
    while $xs:
        §push $out <- $xs[:$k]
        $xs = $xs[$k:]
    return $out»
""",
    doc="Cut a list into pieces of equal length.",
)

_add(
    "partition split_by separate divide_list",
    "ints -> tuple",
    """
def $f($xs):
    «$left_part, $right_part = [], []
    §each $x in $xs:
        if @pred($x):
            $left_part.append($x)
        else:
            $right_part.append($x)¦$left_part = [$x for $x in $xs if @pred($x)]
    $right_part = [$x for $x in $xs if $x not in $left_part]»
    return «$left_part, $right_part¦len($left_part), len($right_part)¦$left_part, sum($right_part)»
""",
)

_add(
    "partition_pivot around_pivot split_at_value",
    "ints1 -> list[int]",
    """
def $f($xs):
    $x = $xs[«0¦-1¦len($xs) // 2»]
    $left_part = [$y for $y in $xs if $y < $x]
    $right_part = [$y for $y in $xs if $y > $x]
    return $left_part + [$x] + $right_part
""",
)

_add(
    "dot_product weighted_sum inner_product multiply_add",
    "ints, more_ints -> int",
    """
def $f($xs, $ys):
    «§sum $total = $a * $b for $a, $b in zip($xs, $ys)
    return $total¦$total = 0
    for $i in range(min(len($xs), len($ys))):
        §add $total <- $xs[$i] * $ys[$i]
    return $total»
""",
)

_add(
    "add_lists pairwise combine element_wise zip_with",
    "ints, more_ints -> list[int]",
    """
def $f($xs, $ys):
    «§map $out = «$a + $b¦$a - $b¦max($a, $b)¦$a * $b¦min($a, $b)¦abs($a - $b)» for $a, $b in zip($xs, $ys)
    return $out¦$out = []
    for $i in range(max(len($xs), len($ys))):
        $a = $xs[$i] if $i < len($xs) else 0
        $b = $ys[$i] if $i < len($ys) else 0
        §push $out <- $a + $b
    return $out»
""",
)

_add(
    "interleave alternate weave mix_lists",
    "ints, more_ints -> list[int]",
    """
def $f($xs, $ys):
    $out = []
    «for $a, $b in zip($xs, $ys):
        «$out.extend([$a, $b])¦$out += [$b, $a]¦$out.append($a)
        $out.append($b)»¦while $xs or $ys:
        if $xs:
            $out.append($xs.pop(0))
        if $ys:
            $out.append($ys.pop(0))»
    return $out
""",
)

_add(
    "evens_and_odds every_other alternate_items odd_positions",
    "ints -> list[int]",
    """
def $f($xs):
    «return $xs[«::2¦1::2¦::-2»]¦$out = []
    for $i, $x in enumerate($xs):
        if $i % 2 == «0¦1»:
            §push $out <- $x
    return $out¦$a = $xs[::2]
    $b = $xs[1::2]
    return «$a + $b¦$b + $a¦$b[::-1] + $a»»
""",
)

_add(
    "alternating_sum zigzag_sum plus_minus signed_sum",
    "ints -> int",
    """
def $f($xs):
    $total = 0
    «$sign = 1
    §each $x in $xs:
        §add $total <- $sign * $x
        $sign = -$sign¦for $i, $x in enumerate($xs):
        if $i % 2 == 0:
            $total += $x
        else:
            $total -= $x¦for $i, $x in enumerate($xs):
        $total += $x if $i % 2 == 0 else -$x»
    return $total
""",
)

_add(
    "average mean mean_of rounded_mean",
    "ints -> float",
    """
def $f($xs):
    «if not $xs:
        return 0
    »$avg = sum($xs) «//¦//¦/» len($xs)
    «return $avg¦return round($avg, «1¦2»)¦return [$x for $x in $xs if $x > $avg]¦$count = 0
    for $x in $xs:
        if $x > $avg:
            $count += 1
    return $count»
""",
)

_add(
    "median middle_value get_median",
    "ints1 -> int",
    """
def $f($xs):
    $ys = sorted($xs)
    $mid = len($ys) // 2
    if len($ys) % 2 == 1:
        return $ys[$mid]
    return ($ys[$mid - 1] + $ys[$mid]) «//¦/» 2
""",
)

_add(
    "equilibrium balance_point pivot_index split_point",
    "ints -> int",
    """
def $f($xs):
    $left = 0
    $right = sum($xs)
    for $i, $x in enumerate($xs):
        $right -= $x
        if $left «==¦>=» $right:
            return $i
        $left += $x
    return -1
""",
    level=0.3,
)

_add(
    "stop_at take_while sum_until take_until until_negative",
    "steps -> list[int]",
    """
def $f($xs):
    $out = []
    for $x in $xs:
        if «$x < 0¦$x == 0¦$x > @int(4,8)¦@pred($x)»:
            break
        §push $out <- $x
    return $out
""",
)

_add(
    "sum_until_limit spend total_within fill_up pack_items",
    "ints, pos -> int",
    """
def $f($xs, $limit):
    $total = 0
    «for $x in $xs:
        if $total + $x > $limit:
            «break¦continue»
        $total += $x
    return $total¦$count = 0
    for $x in $xs:
        $total += $x
        if $total > $limit:
            break
        $count += 1
    return $count¦$i = 0
    while $i < len($xs) and $total < $limit:
        $total += $xs[$i]
        $i += 1
    return $total»
""",
)

_add(
    "stack_simulation run_commands process_stack use_stack",
    "stack_ops -> list[int]",
    """
def $f($ops):
    $stack = []
    for $op in $ops:
        if $op«.startswith('push')¦ != 'pop'¦[:4] == 'push'»:
            «$stack.append(int($op.split()[1]))¦$parts = $op.split()
            $stack.append(int($parts[1]))¦$stack.append(int($op[5:]))»
        «elif $stack¦elif $op == 'pop' and $stack¦elif len($stack) > 0»:
            $stack.pop()
    return $stack
""",
    level=0.3,
)

_add(
    "rpn postfix eval_postfix evaluate_stack",
    "small, small, small -> int",
    """
def $f($a, $b, $c):
    $stack = []
    for $x in [$a, $b, '«+¦*¦-»', $c, '«+¦*¦-»']:
        if $x == '+':
            $stack.append($stack.pop() + $stack.pop())
        elif $x == '*':
            $stack.append($stack.pop() * $stack.pop())
        elif $x == '-':
            $y = $stack.pop()
            $stack.append($stack.pop() - $y)
        else:
            $stack.append($x)
    return $stack«[0]¦.pop()¦[-1]»
""",
    level=0.5,
)

_add(
    "queue_rounds serve round_robin work_queue take_turns",
    "ints1, small -> int",
    """
def $f($xs, $k):
    $queue = «$xs[:]¦list($xs)»
    $steps = 0
    while $queue« and $steps < @int(8,12)»:
        $x = $queue.pop(0)
        if $x > $k:
            $queue.append($x - $k)
        §add $steps <- 1
    return $steps
""",
    level=0.4,
)

_add(
    "josephus last_standing eliminate circle_game",
    "small, tiny -> int",
    """
def $f($n, $k):
    $queue = list(range(1, $n + 1))
    $pos = 0
    while len($queue) > 1:
        $pos = ($pos + $k) % len($queue)
        $queue.pop($pos)
    return $queue[0]
""",
    level=0.4,
)

_add(
    "change make_change count_coins coins_needed give_change",
    "two_digits -> list[int]",
    """
def $f($amount):
    «$out = []
    for $coin in [«25, 10, 5, 1¦20, 10, 5, 2, 1¦50, 20, 10, 5, 1¦10, 4, 1»]:
        while $amount >= $coin:
            §push $out <- $coin
            $amount -= $coin
    return $out¦$out = []
    for $coin in («25, 10, 5, 1¦20, 10, 5, 1»):
        $count = $amount // $coin
        «if $count > 0:
            $out.append(($coin, $count))¦$out.append($count)»
        $amount %= $coin
    return $out¦$count = 0
    for $coin in [«25, 10, 1¦20, 5, 1¦10, 5, 2, 1»]:
        $count += $amount // $coin
        $amount = $amount % $coin
    return $count»
""",
    level=0.2,
    weight=1.2,
)

_add(
    "move_zeros zeros_last shift_zeros push_back",
    "bits -> list[int]",
    """
def $f($xs):
    «$out = [$x for $x in $xs if $x != 0]
    return $out + [0] * (len($xs) - len($out))¦$pos = 0
    for $i in range(len($xs)):
        if $xs[$i] != 0:
            $xs[$pos], $xs[$i] = $xs[$i], $xs[$pos]
            $pos += 1
    return $xs»
""",
    level=0.2,
)

_add(
    "majority most_common mode frequent",
    "dups -> int",
    """
def $f($xs):
    «$best = $xs[0]
    for $x in $xs:
        if $xs.count($x) > $xs.count($best):
            $best = $x
    return $best¦return max(set($xs), key=$xs.count)¦$count = 0
    $best = None
    for $x in $xs:
        if $count == 0:
            $best = $x
        $count += 1 if $x == $best else -1
    return $best»
""",
    level=0.2,
)

_add(
    "flatten_once flatten join_rows combine_lists",
    "grid -> list[int]",
    """
def $f($grid):
    «$out = []
    for $row in $grid:
        «$out.extend($row)¦for $x in $row:
            §push $out <- $x¦$out += $row»
    return $out¦return [$x for $row in $grid for $x in $row«¦ if @pred($x)»]»
""",
)

_add(
    "row_sums sum_rows totals_by_row line_totals",
    "grid -> list[int]",
    """
def $f($grid):
    «§map $out = «sum($row)¦max($row)¦min($row)¦len($row)¦sum($row)» for $row in $grid
    return $out¦$out = []
    for $row in $grid:
        $total = 0
        for $x in $row:
            §add $total <- $x
        §push $out <- $total
    return $out»
""",
)

_add(
    "column_sums sum_columns totals_by_column",
    "grid -> list[int]",
    """
def $f($grid):
    $out = «[0] * len($grid[0])
    for $row in $grid:
        for $j, $x in enumerate($row):
            $out[$j] += $x
    return $out¦[]
    for $j in range(len($grid[0])):
        $total = 0
        for $row in $grid:
            §add $total <- $row[$j]
        §push $out <- $total
    return $out¦[]
    for $j in range(len($grid[0])):
        $out.append(sum($row[$j] for $row in $grid))
    return $out»
""",
    level=0.3,
)

_add(
    "transpose flip_matrix rows_to_columns",
    "grid -> list[list[int]]",
    """
def $f($grid):
    «return [list($row) for $row in zip(*$grid)]¦$out = []
    for $j in range(len($grid[0])):
        «§push $out <- [$row[$j] for $row in $grid]¦$tmp = []
        for $row in $grid:
            $tmp.append($row[$j])
        $out.append($tmp)»
    return $out¦return [[$row[$j] for $row in $grid] for $j in range(len($grid[0]))]»
""",
    level=0.3,
)

_add(
    "diagonal_sum trace_of diagonal main_diagonal",
    "square -> int",
    """
def $f($grid):
    $total = 0
    for $i in range(len($grid)):
        «$total += $grid[$i][$i]¦$total += $grid[$i][len($grid) - 1 - $i]¦$total += $grid[$i][$i] + $grid[$i][-1 - $i]»
    return $total
""",
)

_add(
    "count_cells cells_over grid_count find_in_grid",
    "grid, small -> int",
    """
def $f($grid, $k):
    «$count = 0
    for $row in $grid:
        for $x in $row:
            if $x «>¦<¦>=¦==» $k:
                §add $count <- 1
    return $count¦return sum(1 for $row in $grid for $x in $row if $x > $k)¦for $i, $row in enumerate($grid):
        for $j, $x in enumerate($row):
            if $x == $k:
                return $i, $j
    return None»
""",
)

_add(
    "make_grid build_table zeros_grid make_board",
    "tiny, tiny -> list[list[int]]",
    """
def $f($a, $b):
    «$grid = []
    for $i in range($a):
        $row = []
        for $j in range($b«¦ + 1»):
            $row.append(«$i * $j¦$i + $j¦0¦$i - $j¦($i + $j) % 2¦$i * $b + $j»)
        $grid.append($row)
    return $grid¦return [[«$i + $j¦$i * $j¦1 if $i == $j else 0¦0» for $j in range($b)] for $i in range($a)]»
""",
    level=0.2,
)

_add(
    "pascal_row triangle_row next_row binomial_row",
    "small -> list[int]",
    """
def $f($n):
    $row = [1]
    for _ in range($n):
        «$row = [1] + [$row[$i] + $row[$i + 1] for $i in range(len($row) - 1)] + [1]¦$tmp = [1]
        for $i in range(len($row) - 1):
            $tmp.append($row[$i] + $row[$i + 1])
        $tmp.append(1)
        $row = $tmp»
    return $row
""",
    level=0.4,
)

_add(
    "merge_intervals merge_ranges join_spans combine_spans",
    "spans -> list",
    """
def $f($pairs):
    $out = []
    for $start, $stop in sorted($pairs):
        if $out and $start <= $out[-1][1]:
            «$out[-1] = ($out[-1][0], max($out[-1][1], $stop))¦$prev = $out.pop()
            $out.append(($prev[0], max($prev[1], $stop)))»
        else:
            $out.append(($start, $stop))
    return $out
""",
    level=0.4,
)

_add(
    "total_length covered total_time span_lengths",
    "spans -> int",
    """
def $f($pairs):
    «$total = 0
    for $start, $stop in $pairs:
        §add $total <- $stop - $start«¦ + 1»
    return $total¦return sum($b - $a for $a, $b in $pairs)¦$best = 0
    for $pair in $pairs:
        $gap = $pair[1] - $pair[0]
        if $gap > $best:
            $best = $gap
    return $best»
""",
)

_add(
    "sum_pairs add_pairs pair_totals products",
    "int_pairs -> list[int]",
    """
def $f($pairs):
    «§map $out = «$a + $b¦$a * $b¦max($a, $b)¦abs($a - $b)» for $a, $b in $pairs«¦ if $a «<¦>¦!=» $b»
    return $out¦$out = []
    for $pair in $pairs:
        $a, $b = $pair
        if $a > $b:
            $a, $b = $b, $a
        §push $out <- «$b - $a¦($a, $b)¦$a»
    return $out»
""",
)

_add(
    "swap_ends exchange_ends swap_first_last",
    "ints2 -> list[int]",
    """
def $f($xs):
    «$xs[0], $xs[-1] = $xs[-1], $xs[0]¦$tmp = $xs[0]
    $xs[0] = $xs[-1]
    $xs[-1] = $tmp¦$a, *$tail = $xs
    $xs = $tail + [$a]»
    return $xs
""",
    level=0.1,
)

_add(
    "list_steps edit_list build_list rearrange",
    "ints2, small -> list[int]",
    """
def $f($xs, $n):
    «$xs.append($n)¦$xs.insert(«0¦1¦$n % 2», $n)¦$xs.extend([$n, $n + 1])¦$xs += [$n]»
    «$xs.remove($xs[0])¦$xs.pop(«0¦»)¦$xs.reverse()¦$xs.sort(«reverse=True¦»)¦del $xs[0]»
    «if $n in $xs:
        «$xs.remove($n)¦return $xs.index($n)¦$xs.append($xs.count($n))»
    »«$xs[«0¦-1»] = «$n¦len($xs)¦sum($xs)»
    »return $xs«¦[1:]¦[::-1]¦[:-1]»
""",
    weight=2,
)

_add(
    "slices pieces take_parts cut_list",
    "ints2, tiny -> list[int]",
    """
def $f($xs, $k):
    $a = $xs[:$k]
    $b = $xs[$k:]
    «return «$b + $a¦$b[::-1] + $a¦$a[::-1] + $b»¦if len($a) > len($b):
        return $a
    return $b¦$a.extend(«$b[::-1]¦$b[:1]»)
    return $a¦return [sum($a), sum($b)]»
""",
    weight=1.3,
)

_add(
    "word_lengths lengths measure_words sizes",
    "words -> list[int]",
    """
def $f($ws):
    «§map $out = «len($w)¦len($w)¦$w.count('a')» for $w in $ws«¦ if @wpred($w)»
    return $out¦return list(map(len, $ws))»
""",
)

_add(
    "join_words build_sentence concat glue",
    "words -> str",
    """
def $f($ws):
    «$u = ''
    for $w in $ws:
        if @wpred($w):
            §add $u <- $w«¦ + @sep¦[0]»
    return $u¦return @sep.join(@wexpr($w) for $w in $ws)¦$u = $ws[0]
    for $w in $ws[1:]:
        $u += @sep + $w
    return $u»
""",
)
_add(
    "filter_words pick_words select_words keep_words",
    "words -> list[str]",
    """
def $f($ws):
    §map $out = «$w¦$w¦@wexpr($w)» for $w in $ws if @wpred($w)
    return $out
""",
    weight=1.5,
)

_add(
    "change_words format_all edit_words fix_words",
    "words -> list[str]",
    """
def $f($ws):
    «§map $out = @wexpr($w) for $w in $ws
    return $out¦$out = []
    §each $w in $ws:
        if @wpred($w):
            §push $out <- @wexpr($w)
        «elif @wpred($w):
            continue
        »else:
            §push $out <- «$w¦$w¦@wexpr($w)»
    return $out¦for $i, $w in enumerate($ws):
        $ws[$i] = @wexpr($w)
    return $ws»
""",
    weight=1.5,
)

_add(
    "longest_in shortest_word longest_name pick_longest",
    "words1 -> str",
    """
def $f($ws):
    «$best = $ws[0]
    for $w in $ws:
        if len($w) «>¦<¦>=» len($best):
            $best = $w
    return $best¦return «max¦min»($ws, key=len)¦return «max¦min»($ws, key=lambda $w: @wkey($w))»
""",
    weight=1.2,
)

_add(
    "number_lines label_items enumerate_words numbered",
    "words -> list[str]",
    """
def $f($ws):
    $out = []
    for $i, $w in enumerate($ws«¦, 1»):
        «§push $out <- «f'{$i}: {$w}'¦f'{$w}{$i}'¦str($i) + '.' + $w»¦if $i % 2:
            §push $out <- $w.upper()
        else:
            §push $out <- $w»
    return $out
""",
)

_add(
    "follow_moves final_position walk robot track",
    "moves -> tuple[int, int]",
    """
def $f($ops):
    $a, $b = 0, 0
    for $op in $ops:
        if $op == 'up':
            $b += 1
        elif $op == 'down':
            $b -= 1
        elif $op == 'left':
            $a -= 1
        else:
            $a += 1
    return $a, $b
""",
    level=0.2,
)

_add(
    "fill_missing fill_none replace_missing complete",
    "opt_ints, int? -> list[int]",
    """
def $f($xs, $default=@int(0,9)):
    «§map $out = $default if $x is None else $x for $x in $xs
    return $out¦$prev = $default
    $out = []
    for $x in $xs:
        if $x is None:
            $x = $prev
        §push $out <- $x
        $prev = $x
    return $out»
""",
)

_add(
    "count_known known_only sum_known drop_missing",
    "opt_ints -> int",
    """
def $f($xs):
    «§sum $total = $x for $x in $xs if $x is not None
    return $total¦$count = 0
    for $x in $xs:
        if $x is None:
            continue
        $count += «1¦$x»
    return $count»
""",
)

_add(
    "split_types by_type only_numbers keep_ints",
    "mixed_items -> list",
    """
def $f($xs):
    «§map $out = $x for $x in $xs if isinstance($x, «int¦str»)
    return $out¦$total = 0
    $tail = []
    for $x in $xs:
        if isinstance($x, int):
            §add $total <- $x
        else:
            §push $tail <- $x
    return [$total, $tail]»
""",
)

_add(
    "peaks find_peaks local_maxima count_peaks",
    "ints -> list[int]",
    """
def $f($xs):
    $out = []
    for $i in range(1, len($xs) - 1):
        if $xs[$i - 1] < $xs[$i] «>¦>=» $xs[$i + 1]:
            §push $out <- «$i¦$xs[$i]»
    return $out
""",
    level=0.2,
)

_add(
    "digits_to_number join_digits make_number from_digits",
    "bits -> int",
    """
def $f($xs):
    $res = 0
    for $x in $xs:
        $res = $res * «10¦2¦2» + $x
    return $res
""",
)

_add(
    "add_one plus_one increment carry_over",
    "bits -> list[int]",
    """
def $f($xs):
    $carry = 1
    for $i in range(len($xs) - 1, -1, -1):
        $x = $xs[$i] + $carry
        $xs[$i] = $x % 2
        $carry = $x // 2
    «if $carry:
        $xs.insert(0, $carry)
    »return $xs
""",
    level=0.3,
)
