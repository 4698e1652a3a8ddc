"""Idioms on dicts, sets and tuples: counting, grouping, looking up, updating, set algebra."""

from opencwm.data.programs.template import idiom

FAMILY = "mappings"


def _add(names: str, signature: str, text: str, **more: object) -> None:
    IDIOMS.append(idiom(FAMILY, names, signature, text, **more))  # type: ignore[arg-type]


IDIOMS = []  # type: ignore[var-annotated]

_add(
    "count_letters letter_counts frequencies char_count histogram",
    "mixed -> dict[str, int]",
    """
def $f($s):
    $d = {}
    §each $ch in $s:
        «if $ch in $d:
            $d[$ch] += 1
        else:
            $d[$ch] = 1¦$d[$ch] = $d.get($ch, 0) + 1¦if $ch not in $d:
            $d[$ch] = 0
        $d[$ch] += 1¦if @cpred($ch):
            $d[$ch] = $d.get($ch, 0) + 1»
    return «$d¦$d¦max($d.values(), default=0)¦sorted($d)¦[$key for $key, $val in $d.items() if $val > 1]»
""",
    weight=1.5,
    doc="Count how often each character occurs.",
)

_add(
    "count_words word_counts tally_words count_each",
    "words -> dict[str, int]",
    """
def $f($ws):
    $d = {}
    §each $w in $ws:
        «$d[$w] = $d.get($w, 0) + 1¦if $w not in $d:
            $d[$w] = 0
        $d[$w] += 1¦$d.setdefault($w, 0)
        $d[$w] += «1¦len($w)»»
    return $d
""",
    weight=1.3,
    doc="Count how often each word occurs.",
)

_add(
    "count_values tally value_counts frequency_table",
    "dups -> dict[int, int]",
    """
def $f($xs):
    «$d = {}
    §each $x in $xs:
        «$d[$x] = $d.get($x, 0) + 1¦if $x in $d:
            $d[$x] += 1
        else:
            $d[$x] = 1»
    return $d¦return {$x: $xs.count($x) for $x in $xs}»
""",
)

_add(
    "group_by_length by_size words_by_length group_words",
    "words -> dict[int, list[str]]",
    """
def $f($ws):
    $groups = {}
    §each $w in $ws:
        $key = «len($w)¦len($w)¦len($w) % 2»
        «if $key not in $groups:
            $groups[$key] = []
        $groups[$key].append($w)¦$groups.setdefault($key, []).append($w)»
    return $groups
""",
    weight=1.3,
    doc="Put words of one length together.",
)

_add(
    "group_by_first index_by_letter first_letters by_initial",
    "words -> dict[str, list[str]]",
    """
def $f($ws):
    $groups = {}
    for $w in $ws:
        «$groups.setdefault($w[«0¦-1»], []).append($w)¦$key = $w[«0¦-1»]
        if $key in $groups:
            $groups[$key].append($w)
        else:
            $groups[$key] = [$w]»
    return $groups
""",
)

_add(
    "group_anagrams anagram_groups same_letters",
    "words -> list",
    """
def $f($ws):
    $groups = {}
    for $w in $ws:
        $key = ''.join(sorted($w))
        $groups.setdefault($key, []).append($w)
    return «list($groups.values())¦$groups¦[$group for $group in $groups.values() if len($group) > 1]»
""",
    level=0.2,
)

_add(
    "group_numbers by_remainder classify_all split_kinds",
    "ints -> dict[str, list[int]]",
    """
def $f($xs):
    $groups = {'main': [], 'other': []}
    for $x in $xs:
        if @pred($x):
            $groups['other'].append($x)
        else:
            $groups['main'].append($x)
    return $groups
""",
    level=0.1,
)

_add(
    "group_mod buckets group_by_mod remainders",
    "ints, tiny -> dict[int, list[int]]",
    """
def $f($xs, $k):
    $groups = {}
    for $x in $xs:
        $key = $x % ($k + 1)
        if $key not in $groups:
            $groups[$key] = []
        $groups[$key].append($x)
    return $groups
""",
)

_add(
    "invert flip_dict swap_keys reverse_mapping",
    "counts -> dict[int, str]",
    """
def $f($d):
    «return {$val: $key for $key, $val in $d.items()}¦$res = {}
    for $key, $val in $d.items():
        «$res[$val] = $key¦$res.setdefault($val, []).append($key)¦if $val not in $res:
            $res[$val] = $key»
    return $res»
""",
)

_add(
    "filter_dict keep_large above_limit select_keys",
    "counts, pos -> dict[str, int]",
    """
def $f($d, $limit):
    «return {$key: $val for $key, $val in $d.items() if $val @cmp $limit}¦$res = {}
    for $key, $val in $d.items():
        if $val @cmp $limit:
            $res[$key] = $val
    return $res¦for $key in list($d):
        if $d[$key] @cmp $limit:
            del $d[$key]
    return $d¦for $key in list($d.keys()):
        if $d[$key] < $limit:
            $d.pop($key)
    return $d»
""",
    weight=1.2,
)

_add(
    "best_key top_scorer winner max_key best_of",
    "counts -> str",
    """
def $f($d):
    «$best = None
    for $key in $d:
        if $best is None or $d[$key] > $d[$best]:
            $best = $key
    return $best¦return max($d, key=lambda $key: $d[$key])¦$name = ''
    $best = -1
    for $key, $val in $d.items():
        if $val > $best:
            $best = $val
            $name = $key
    return $name¦return «max¦min»($d, key=$d.get)»
""",
    weight=1.2,
    doc="The key with the greatest value.",
)

_add(
    "sum_values total_stock total_of add_up",
    "counts -> int",
    """
def $f($d):
    «return sum($d.values())¦$total = 0
    for $key in $d:
        §add $total <- $d[$key]
    return $total¦$total = 0
    for $val in $d.values():
        if @pred($val):
            §add $total <- $val
    return $total¦$total = 0
    for $key, $val in $d.items():
        §add $total <- $val * «len($key)¦2»
    return $total»
""",
)

_add(
    "merge_counts combine add_dicts merge_scores",
    "counts, counts2 -> dict[str, int]",
    """
def $f($d, $dd):
    «$res = «dict($d)¦$d.copy()»
    for $key, $val in $dd.items():
        «$res[$key] = $res.get($key, 0) + $val¦if $key in $res:
            $res[$key] += $val
        else:
            $res[$key] = $val»
    return $res¦$d.update($dd)
    return $d¦return {**$d, **$dd}¦for $key in $dd:
        if $key not in $d:
            $d[$key] = $dd[$key]
        elif $dd[$key] > $d[$key]:
            $d[$key] = $dd[$key]
    return $d»
""",
    weight=1.3,
    doc="Add the values of two dicts.",
)

_add(
    "common_keys shared_keys keys_in_both overlap",
    "counts, counts2 -> list[str]",
    """
def $f($d, $dd):
    «§map $out = $key for $key in $d if $key in $dd
    return $out¦return sorted(set($d) & set($dd))¦$out = []
    for $key, $val in $d.items():
        if $dd.get($key) == $val:
            $out.append($key)
    return $out»
""",
)

_add(
    "compare_dicts diff_dicts changes_between changed_keys",
    "counts, counts2 -> dict[str, int]",
    """
def $f($d, $dd):
    $res = {}
    for $key in sorted(«$d.keys() | $dd.keys()¦set($d) | set($dd)»):
        $gap = $dd.get($key, 0) - $d.get($key, 0)
        if $gap«¦ != 0»:
            $res[$key] = $gap
    return $res
""",
    level=0.3,
)

_add(
    "update_stock apply_changes change_inventory apply_orders",
    "counts, changes -> dict[str, int]",
    """
def $f($d, $pairs):
    for $key, $val in $pairs:
        «if $key not in $d:
            «$d[$key] = 0¦continue»
        $d[$key] += $val¦$d[$key] = $d.get($key, 0) + $val¦if $key in $d:
            $d[$key] = max(0, $d[$key] + $val)
        else:
            $d[$key] = abs($val)»
        «if $d[$key] <= 0:
            del $d[$key]
    »
    return $d
""",
    level=0.2,
    weight=1.3,
    doc="Apply changes to the stock.",
)

_add(
    "totals_by_name sum_by_key collect_scores points_per_player",
    "pairs -> dict[str, int]",
    """
def $f($pairs):
    $res = {}
    for «$name, $val¦($name, $val)» in $pairs:
        «$res[$name] = $res.get($name, 0) + $val¦if $name not in $res:
            $res[$name] = $val
        else:
            $res[$name] += $val»
    «for $key in $res:
        $res[$key] «*= 2¦+= 1¦-= @int(1,3)»
    »return $res
""",
)

_add(
    "rank_players sort_scores leaderboard order_by_score",
    "pairs -> list[str]",
    """
def $f($pairs):
    «$pairs.sort(key=lambda $pair: «-$pair[1]¦$pair[1]¦$pair[0]»)
    return [$name for $name, _ in $pairs]¦$out = sorted($pairs, key=lambda $pair: $pair[1]«, reverse=True»)
    return «$out[0]¦$out[:2]¦[$x[0] for $x in $out]»¦$out = []
    for $name, $val in sorted($pairs, key=lambda $x: $x[1]):
        $out.append(«$name¦f'{$name}={$val}'»)
    return $out»
""",
    level=0.2,
    weight=1.2,
)

_add(
    "best_pair top_entry highest_score find_winner",
    "pairs -> str",
    """
def $f($pairs):
    $best, $res = -1, None
    for $name, $val in $pairs:
        if $val > $best:
            $best, $res = $val, $name
    return $res
""",
)

_add(
    "lookup_all translate_words find_values fetch",
    "counts, words -> list",
    """
def $f($d, $ws):
    «return [$d.get($w, «0¦-1¦None») for $w in $ws]¦$out = []
    for $w in $ws:
        if $w in $d:
            $out.append($d[$w])
        «else:
            $out.append(@int(0,3))
    »
    return $out»
""",
)

_add(
    "get_or_default safe_lookup find_value read_key",
    "counts, key_of -> int",
    """
def $f($d, $key):
    «if $key in $d:
        return $d[$key]
    return «0¦-1¦None¦len($d)»¦return $d.get($key, «0¦-1»)¦try:
        return $d[$key]
    except KeyError:
        return «0¦-1¦None»¦$val = $d.get($key)
    if $val is None:
        return -1
    return $val * 2»
""",
)

_add(
    "has_item can_take reserve take_item use_item",
    "counts, key_of, small -> bool",
    """
def $f($d, $key, $n):
    if $key not in $d:
        return False
    if $d[$key] < $n:
        return False
    $d[$key] -= $n
    return «True¦$d[$key]¦$d»
""",
)

_add(
    "square_map build_lookup make_table mapping_of",
    "ints -> dict[int, int]",
    """
def $f($xs):
    «return {$x: @expr($x) for $x in $xs«¦ if @pred($x)»}¦$d = {}
    §each $x in $xs:
        $d[$x] = @expr($x)
    return $d»
""",
)

_add(
    "word_map lengths_of length_table measure_each",
    "words -> dict[str, int]",
    """
def $f($ws):
    «return {$w: @count($w) for $w in $ws«¦ if @wpred($w)»}¦$d = {}
    for $w in $ws:
        $d[$w] = @count($w)
    return $d»
""",
)

_add(
    "zip_dict pair_up make_dict to_mapping",
    "names, ints1 -> dict[str, int]",
    """
def $f($ws, $xs):
    «return dict(zip($ws, $xs))¦$d = {}
    for $key, $val in zip($ws, $xs):
        «$d[$key] = $val¦if @pred($val):
            $d[$key] = $val»
    return $d¦$d = {}
    for $i, $w in enumerate($ws):
        $d[$w] = $xs[$i] if $i < len($xs) else 0
    return $d»
""",
)

_add(
    "positions_of index_map where_each last_seen",
    "mixed -> dict[str, int]",
    """
def $f($s):
    $d = {}
    for $i, $ch in enumerate($s):
        «$d[$ch] = $i¦if $ch not in $d:
            $d[$ch] = $i¦$d.setdefault($ch, []).append($i)»
    return $d
""",
)

_add(
    "sort_dict sorted_items items_by_value ordered",
    "counts -> list",
    """
def $f($d):
    «return sorted($d.items(), key=lambda $pair: $pair[1]«, reverse=True»)¦$out = []
    for $key in sorted($d):
        §push $out <- «($key, $d[$key])¦$d[$key]¦f'{$key}:{$d[$key]}'»
    return $out¦return sorted($d«, reverse=True¦, key=lambda $key: $d[$key]»)¦$out = list($d.items())
    $out.sort(key=lambda $x: $x[1])
    return $out[0]»
""",
    level=0.1,
)

_add(
    "dict_to_text show render_items describe",
    "counts -> str",
    """
def $f($d):
    «$parts = []
    for $key, $val in $d.items():
        $parts.append(f'{$key}«=¦:¦-»{$val}')
    return @sep.join($parts)¦$u = ''
    for $key in $d:
        §add $u <- $key + str($d[$key])
    return $u¦return ', '.join($key + '=' + str($val) for $key, $val in $d.items())»
""",
)

_add(
    "average_by_name mean_per_group summarize_groups group_totals",
    "groups -> dict[str, int]",
    """
def $f($groups):
    $res = {}
    for $key, $xs in $groups.items():
        «$res[$key] = sum($xs) // len($xs)¦$total = 0
        for $x in $xs:
            §add $total <- $x
        $res[$key] = $total¦$res[$key] = «max($xs)¦len($xs)¦sorted($xs)¦$xs[-1]»»
    return $res
""",
)

_add(
    "total_price bill_for checkout cart_total",
    "counts, pairs -> int",
    """
def $f($d, $pairs):
    $total = 0
    for $name, $count in $pairs:
        «$total += $d.get($name, @int(1,5)) * $count¦if $name in $d:
            §add $total <- $d[$name] * $count
        else:
            §add $total <- $count»
    return $total
""",
)

_add(
    "records_total sum_field field_values pick_field",
    "records -> int",
    """
def $f($pairs):
    «$total = 0
    for $row in $pairs:
        for $val in $row.values():
            if isinstance($val, int):
                §add $total <- $val
    return $total¦$out = []
    for $row in $pairs:
        $key = list($row)[«0¦1»]
        $out.append($row[$key])
    return $out¦return [list($row.values())[«0¦1»] for $row in $pairs]»
""",
    level=0.2,
)

_add(
    "update_record edit_record change_fields set_fields",
    "counts, small -> dict[str, int]",
    """
def $f($d, $n):
    «$d[@label] = $n¦$d.update({@label: $n})¦$d.setdefault(@label, $n)»
    «for $key in $d:
        $d[$key] = @linear($d[$key])¦$val = $d.pop(next(iter($d)))
    $d['last'] = $val¦$key = sorted($d)[0]
    $d[$key] += $n¦if len($d) > 2:
        $d.popitem()»
    return «$d¦list($d)¦len($d)¦sorted($d.items())»
""",
    weight=1.2,
)

_add(
    "shared_values intersection in_both common",
    "ints, more_ints -> list[int]",
    """
def $f($xs, $ys):
    «return sorted(set($xs) & set($ys))¦§map $out = $x for $x in $xs if $x in $ys
    return $out¦$seen = set($ys)
    $out = []
    for $x in $xs:
        if $x «in¦not in» $seen:
            §push $out <- $x
    return $out»
""",
    weight=1.2,
)

_add(
    "set_difference only_first missing_from not_in_second",
    "int_set, int_set2 -> set[int]",
    """
def $f($xs, $ys):
    «return $xs «-¦&¦|¦^» $ys¦return $xs.«difference¦union¦intersection¦symmetric_difference»($ys)¦$res = set()
    for $x in sorted($xs):
        if $x not in $ys:
            $res.add($x)
    return $res¦$xs.«update¦difference_update¦intersection_update»($ys)
    return $xs»
""",
    weight=1.5,
)

_add(
    "count_unique num_distinct distinct_count different",
    "dups -> int",
    """
def $f($xs):
    «return len(set($xs))¦$seen = set()
    $count = 0
    §each $x in $xs:
        if $x not in $seen:
            §add $count <- 1
            $seen.add($x)
    return $count¦$seen = set()
    for $x in $xs:
        $seen.add(@linear($x))
    return len($seen)¦$seen = {$x % @int(2,5) for $x in $xs}
    return «len($seen)¦sorted($seen)¦$seen»»
""",
    weight=1.3,
)

_add(
    "has_duplicates any_repeated repeats contains_twice",
    "dups -> bool",
    """
def $f($xs):
    «$seen = set()
    for $x in $xs:
        if $x in $seen:
            return True
        $seen.add($x)
    return False¦§yes len(set($xs)) «<¦!=» len($xs)¦for $i in range(len($xs)):
        if $xs[$i] in $xs[$i + 1:]:
            return True
    return False»
""",
    weight=1.2,
)

_add(
    "first_repeated find_duplicate duplicates repeated_items",
    "dups -> list[int]",
    """
def $f($xs):
    $seen = set()
    $out = []
    for $x in $xs:
        if $x in $seen:
            $out.append($x)
        else:
            $seen.add($x)
    return «$out¦sorted($out)¦$out[:1]»
""",
)

_add(
    "missing_numbers find_missing gaps_in absent",
    "sorted -> list[int]",
    """
def $f($xs):
    «$seen = set($xs)
    $out = []
    for $i in range($xs[0], min($xs[-1], $xs[0] + @int(6,12))):
        if $i not in $seen:
            §push $out <- $i
    return $out¦for $i in range(1, len($xs) + 2):
        if $i not in $xs:
            return $i
    return None»
""",
    level=0.2,
)

_add(
    "unique_letters letters_used distinct_chars letter_set",
    "mixed -> list[str]",
    """
def $f($s):
    «return sorted(set($s))¦return len(set($s))¦$out = []
    for $ch in sorted(set($s)):
        if @cpred($ch):
            $out.append($ch)
    return $out¦return [$ch for $ch in sorted(set($s)) if $s.count($ch) > 1]¦$out = sorted(set($s.lower()))
    return ''.join($out)»
""",
)

_add(
    "toggle flip_all switch_lights toggle_items",
    "ints1 -> set[int]",
    """
def $f($xs):
    $seen = set()
    §each $x in $xs:
        «$x = $x % @int(4,9)
        »if $x in $seen:
            $seen.«remove¦discard»($x)
        else:
            $seen.add($x)
    return $seen
""",
)

_add(
    "reachable visit explore walk_graph find_nodes",
    "graph, node -> list[str]",
    """
def $f($d, $start):
    $seen = [$start]
    $queue = [$start]
    while $queue:
        $cur = $queue.pop(«0¦0¦»)
        for $x in $d.get($cur, []):
            if $x not in $seen:
                $seen.append($x)
                $queue.append($x)
    return «$seen¦sorted($seen)¦len($seen)»
""",
    level=0.6,
    doc="Everything that can be reached from a node.",
)

_add(
    "distances shortest_steps levels bfs hops",
    "graph, node -> dict[str, int]",
    """
def $f($d, $start):
    $res = {$start: 0}
    $queue = [$start]
    while $queue:
        $cur = $queue.pop(0)
        for $x in $d.get($cur, []):
            if $x not in $res:
                $res[$x] = $res[$cur] + 1
                $queue.append($x)
    return $res
""",
    level=0.7,
)

_add(
    "count_edges in_degree incoming neighbor_counts",
    "graph -> dict[str, int]",
    """
def $f($d):
    $res = {$key: 0 for $key in $d}
    for $xs in $d.values():
        for $x in $xs:
            $res[$x] += 1
    return $res
""",
    level=0.3,
)

_add(
    "follow_chain chase trace_links follow",
    "str_map, key_of -> list[str]",
    """
def $f($d, $key):
    $out = []
    while $key in $d and $key not in $out:
        §push $out <- $key
        $key = $d[$key]
    return $out
""",
    level=0.2,
)

_add(
    "swap swap_pair order_pair arrange_two",
    "pair -> tuple[int, int]",
    """
def $f($pair):
    $a, $b = $pair
    «if $a > $b:
        $a, $b = $b, $a
    »«return ($b, $a)¦return $a, $b¦return ($a + $b, $a - $b)¦$pair = ($b, $a)
    return $pair + ($a,)»
""",
)

_add(
    "divide_parts split_amount share_out distribute",
    "int, tiny -> tuple[int, int]",
    """
def $f($n, $k):
    «return divmod($n, $k)¦$a, $b = divmod($n, $k)
    if $b:
        $a += 1
    return $a, $b¦$out = [$n // $k] * $k
    for $i in range($n % $k):
        $out[$i] += 1
    return $out»
""",
)

_add(
    "roman to_roman numeral as_roman",
    "pos -> str",
    """
def $f($n):
    $u = ''
    for $val, $t in [«(50, 'L'), (40, 'XL'), »(10, 'X'), (9, 'IX'), (5, 'V'), (4, 'IV'), (1, 'I')]:
        while $n >= $val:
            $u += $t
            $n -= $val
    return $u
""",
    level=0.4,
)

_add(
    "from_roman roman_value read_numeral parse_roman",
    "roman -> int",
    """
def $f($s):
    $d = {'I': 1, 'V': 5, 'X': 10, 'L': 50}
    $total = 0
    «$prev = 0
    for $ch in reversed($s):
        $val = $d[$ch]
        if $val < $prev:
            $total -= $val
        else:
            $total += $val
        $prev = $val
    return $total¦for $i in range(len($s)):
        $val = $d[$s[$i]]
        if $i + 1 < len($s) and $d[$s[$i + 1]] > $val:
            $total -= $val
        else:
            $total += $val
    return $total»
""",
    level=0.3,
)

_add(
    "morse encode_word to_codes code_word",
    "word -> str",
    """
def $f($s):
    $table = {'a': '.-', 'e': '.', 't': '-', 'n': '-.', 'i': '..', 'o': '---'}
    «return ' '.join($table.get($ch, '?') for $ch in $s)¦$out = []
    for $ch in $s:
        if $ch in $table:
            $out.append($table[$ch])
    return ' '.join($out)»
""",
)

_add(
    "score_word word_score letter_points points_for",
    "word -> int",
    """
def $f($s):
    $d = {'a': 1, 'b': @int(2,4), 'e': 1, 'k': 5, 'x': 8}
    «return sum($d.get($ch, 2) for $ch in $s)¦$total = 0
    for $ch in $s:
        «$total += $d.get($ch, @int(1,3))¦if $ch in $d:
            $total += $d[$ch]»
    return $total»
""",
)
