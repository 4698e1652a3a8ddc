# ruff: noqa: E501  (tables and templates: a line is one entry)
"""Idioms of two or three functions that belong together, and little simulations: what homework and scripts are made of."""

from opencwm.data.programs.template import idiom

FAMILY = "tasks"


def _add(names: str, signature: str, text: str, **more: object) -> None:
    IDIOMS.append(idiom(FAMILY, names, signature, text, **more))  # type: ignore[arg-type]


IDIOMS = []  # type: ignore[var-annotated]

_add(
    "average_grade final_grades grade_all report_grades / letter_for to_letter grade_letter / drop_lowest without_worst trim",
    "groups -> dict[str, str]",
    """
def $g($x):
    if $x >= @int(12,18):
        return 'A'
    if $x >= @int(6,11):
        return 'B'
    return 'C'

def $h($xs):
    «if len($xs) > 1:
        return sorted($xs)[1:]
    return $xs¦$least = min($xs)
    $xs.remove($least)
    return $xs or [$least]»

def $f($groups):
    $res = {}
    for $name, $ys in $groups.items():
        $tail = $h($ys)
        $avg = sum($tail) // len($tail)
        $res[$name] = $g($avg)
    return $res
""",
    level=0.5,
)

_add(
    "vending buy_drink serve_customer purchase / change_for count_change coins_back",
    "small, two_digits -> list[int]",
    """
def $g($amount):
    $out = []
    for $coin in [20, 10, 5, 2, 1]:
        while $amount >= $coin:
            $out.append($coin)
            $amount -= $coin
    return $out

def $f($n, $x):
    $amount = $n * @int(2,6)
    if $x < $amount:
        return «[]¦'too little'¦None»
    return $g($x - $amount)
""",
    level=0.4,
)

_add(
    "elevator ride_elevator visit_floors lift",
    "ints1, small -> tuple[int, int]",
    """
def $f($xs, $start):
    $cur = $start
    $total = 0
    for $x in $xs:
        «$total += abs($x - $cur)
        $cur = $x¦while $cur != $x and $total < 60:
            $cur += 1 if $x > $cur else -1
            $total += 1»
    return $cur, $total
""",
    level=0.4,
)

_add(
    "step_line next_generation evolve simulate_cells / rule_for new_state live_or_die / advance one_step update_line",
    "bits, tiny -> list[int]",
    """
def $g($a, $b, $c):
    return «1 if $a + $b + $c == 1 else 0¦($a + $c) % 2¦1 if $a != $c else 0»

def $h($xs):
    $out = []
    for $i in range(len($xs)):
        $left = $xs[$i - 1] if $i > 0 else 0
        $right = $xs[$i + 1] if $i < len($xs) - 1 else 0
        $out.append($g($left, $xs[$i], $right))
    return $out

def $f($ys, $k):
    for _ in range($k):
        $ys = $h($ys)
    return $ys
""",
    level=0.7,
)

_add(
    "check_winner tic_winner find_winner who_won / all_same same_marks is_line",
    "board -> str",
    """
def $g($xs):
    return $xs[0] != '.' and all($x == $xs[0] for $x in $xs)

def $f($grid):
    for $row in $grid:
        if $g($row):
            return $row[0]
    for $j in range(3):
        $col = [$row[$j] for $row in $grid]
        if $g($col):
            return $col[0]
    return «'none'¦None¦''»
""",
    level=0.6,
)

_add(
    "encode_message secret code_text hide / shift_char move_letter next_char",
    "text, tiny -> str",
    """
def $g($ch, $k):
    if not $ch.isalpha():
        return $ch
    $start = ord('A') if $ch.isupper() else ord('a')
    return chr((ord($ch) - $start + $k) % 26 + $start)

def $f($s, $n):
    «$u = ''
    for $c in $s:
        $u += $g($c, $n)
    return $u¦return ''.join($g($c, $n) for $c in $s)»
""",
    level=0.5,
)

_add(
    "pig_latin to_pig translate_word funny_talk / first_vowel vowel_position find_vowel",
    "text -> str",
    """
def $g($w):
    for $i, $ch in enumerate($w):
        if $ch in 'aeiou':
            return $i
    return 0

def $f($s):
    $out = []
    for $part in $s.split():
        $pos = $g($part)
        $out.append($part[$pos:] + $part[:$pos] + '«ay¦o¦way»')
    return ' '.join($out)
""",
    level=0.5,
)

_add(
    "apply_rules price_with_rules bill_total checkout / discount_for rate_of reduction",
    "pairs -> int",
    """
def $g($n):
    if $n >= @int(6,10):
        return @int(2,4)
    elif $n >= @int(3,5):
        return 1
    return 0

def $f($pairs):
    $total = 0
    for $name, $count in $pairs:
        $dx = $g($count)
        $total += $count * @int(2,5) - $dx
        «if len($name) > @int(3,5):
            $total += 1
    »
    return $total
""",
    level=0.4,
)

_add(
    "schedule plan_day fit_tasks assign_slots",
    "pairs, pos -> list[str]",
    """
def $f($pairs, $limit):
    $out = []
    $total = 0
    for $name, $x in sorted($pairs, key=lambda $pair: $pair[1]):
        if $total + $x > $limit:
            «break¦continue»
        $total += $x
        $out.append(«$name¦f'{$name} at {$total - $x}'¦($name, $total)»)
    return $out
""",
    level=0.4,
)

_add(
    "play_game race run_race simulate_game / roll move_by throw",
    "small, small -> tuple[int, int]",
    """
def $g($x, $k):
    return ($x * @int(2,5) + $k) % 6 + 1

def $f($a, $b):
    $left, $right = 0, 0
    for $i in range(@int(3,5)):
        $left += $g($a, $i)
        $right += $g($b, $i)
        if $left > @int(12,18) or $right > @int(12,18):
            break
    return $left, $right
""",
    level=0.5,
)

_add(
    "process_log count_levels parse_log summarize_log / level_of split_entry entry_level",
    "log_lines -> dict[str, int]",
    """
def $g($s):
    $pos = $s.find(':')
    if $pos == -1:
        return 'none'
    return $s[:$pos]«.lower()»

def $f($ws):
    $d = {}
    for $w in $ws:
        $key = $g($w)
        $d[$key] = $d.get($key, 0) + 1
    return $d
""",
    level=0.4,
)

_add(
    "parse_commands run_program execute interpret / apply_command do_step run_line",
    "instructions -> int",
    """
def $g($x, $op):
    $name, $n = $op.split()
    if $name == 'add':
        return $x + int($n)
    if $name == 'sub':
        return $x - int($n)
    if $name == 'mul':
        return $x * int($n)
    return $x

def $f($ops):
    $res = «0¦1¦@int(1,5)»
    for $op2 in $ops:
        $res = $g($res, $op2)
    return $res
""",
    level=0.5,
    weight=1.5,
)

_add(
    "robot_path drive_robot turn_and_move navigate",
    "turns -> tuple[int, int]",
    """
def $f($s):
    $a, $b = 0, 0
    $pos = 0
    for $ch in $s:
        if $ch == 'L':
            $pos = ($pos - 1) % 4
        elif $ch == 'R':
            $pos = ($pos + 1) % 4
        elif $pos == 0:
            $b += 1
        elif $pos == 1:
            $a += 1
        elif $pos == 2:
            $b -= 1
        else:
            $a -= 1
    return $a, $b
""",
    level=0.4,
)

_add(
    "best_seller top_products rank_items most_sold / totals_of sum_sales collect_sales",
    "pairs -> list[str]",
    """
def $g($pairs):
    $d = {}
    for $key, $val in $pairs:
        $d[$key] = $d.get($key, 0) + $val
    return $d

def $f($pairs2):
    $table = $g($pairs2)
    $best = max($table.values())
    return [$name for $name in $table if $table[$name] «== $best¦>= $best - @int(1,4)»]
""",
    level=0.4,
)

_add(
    "split_bill share_costs settle owes / average_of mean_cost per_person",
    "counts -> dict[str, int]",
    """
def $g($xs):
    return sum($xs) // len($xs)

def $f($d):
    $avg = $g(list($d.values()))
    $res = {}
    for $name, $x in $d.items():
        «$res[$name] = $x - $avg¦if $x != $avg:
            $res[$name] = $avg - $x»
    return $res
""",
    level=0.4,
)

_add(
    "validate_user check_form find_errors check_input / is_short too_short bad_length",
    "word, int -> list[str]",
    """
def $g($s, $n):
    return len($s) < $n

def $f($s, $x):
    $out = []
    if $g($s, @int(3,6)):
        $out.append('short')
    if not $s.isalpha():
        $out.append('letters')
    if $x < @int(5,18):
        $out.append('young')
    «elif $x > @int(20,40):
        $out.append('old')
    »return $out«¦ or ['ok']»
""",
    level=0.3,
)

_add(
    "longest_common common_run shared_part overlap / run_from match_length same_from",
    "mixed, fragment -> int",
    """
def $g($s, $t, $i, $j):
    $n = 0
    while $i + $n < len($s) and $j + $n < len($t) and $s[$i + $n] == $t[$j + $n]:
        $n += 1
    return $n

def $f($s, $t):
    $best = 0
    for $i in range(len($s)):
        for $j in range(len($t)):
            $best = max($best, $g($s, $t, $i, $j))
    return $best
""",
    level=0.8,
)

_add(
    "edit_steps distance_between levenshtein row_distance",
    "short_word, short_word -> int",
    """
def $f($s, $t):
    $row = list(range(len($t) + 1))
    for $i, $a in enumerate($s, 1):
        $tmp = [$i]
        for $j, $b in enumerate($t, 1):
            $x = 0 if $a == $b else 1
            $tmp.append(min($row[$j] + 1, $tmp[-1] + 1, $row[$j - 1] + $x))
        $row = $tmp
    return $row[-1]
""",
    level=0.9,
)

_add(
    "min_coins fewest_coins coin_table ways_to_pay",
    "tiny, small -> int",
    """
def $f($k, $n):
    $coins = [1, $k + 1]
    «$table = [0] + [99] * $n
    for $amount in range(1, $n + 1):
        for $coin in $coins:
            if $coin <= $amount:
                $table[$amount] = min($table[$amount], $table[$amount - $coin] + 1)
    return $table[$n]¦$table = [1] + [0] * $n
    for $coin in $coins:
        for $amount in range($coin, $n + 1):
            $table[$amount] += $table[$amount - $coin]
    return $table[$n]»
""",
    level=0.8,
)

_add(
    "climb_stairs count_ways step_ways tile_ways",
    "small -> int",
    """
def $f($n):
    $table = [1, 1]
    for $i in range(2, $n + 1):
        $table.append($table[$i - 1] + $table[$i - 2]«¦ - 1»)
    return $table[$n]
""",
    level=0.4,
)

_add(
    "water_levels fill_tank run_tank flow",
    "steps, pos -> list[int]",
    """
def $f($xs, $limit):
    $cur = 0
    $out = []
    for $x in $xs:
        $cur += $x
        if $cur > $limit:
            $cur = $limit
        elif $cur < 0:
            $cur = 0
        $out.append($cur)
    return $out
""",
    level=0.3,
)

_add(
    "traffic count_cars queue_lengths waiting_line",
    "ints1 -> int",
    """
def $f($xs):
    $queue = 0
    $best = 0
    for $i, $x in enumerate($xs):
        $queue += $x
        $queue -= min($queue, @int(2,6))
        if $queue > $best:
            $best = $queue
    return «$best¦$best, $queue¦$queue»
""",
    level=0.3,
)

_add(
    "print_table make_table format_rows show_rows / pad_cell fit cell",
    "pairs -> list[str]",
    """
def $g($s, $n):
    return str($s).«ljust¦rjust»($n«¦, '.'»)

def $f($pairs):
    $out = []
    for $name, $x in $pairs:
        $out.append($g($name, @int(5,7)) + «'|'¦' '¦':'» + $g($x, 3))
    return $out
""",
    level=0.4,
)

_add(
    "wrap_words make_lines fill_lines break_lines",
    "text, small -> list[str]",
    """
def $f($s, $n):
    $out = []
    $cur = ''
    for $w in $s.split():
        if $cur and len($cur) + len($w) + 1 > $n + 6:
            $out.append($cur)
            $cur = $w
        else:
            $cur = $cur + ' ' + $w if $cur else $w
    if $cur:
        $out.append($cur)
    return $out
""",
    level=0.4,
)

_add(
    "sum_tree tree_total total_tree node_sum",
    "tree -> int",
    """
def $f($pair):
    if $pair is None:
        return 0
    $val, $left, $right = $pair
    return $val + $f($left) + $f($right)
""",
    level=0.6,
)

_add(
    "tree_depth height depth_of levels",
    "tree -> int",
    """
def $f($pair):
    if $pair is None:
        return 0
    _, $left, $right = $pair
    «return 1 + max($f($left), $f($right))¦$a = $f($left)
    $b = $f($right)
    return $a + 1 if $a > $b else $b + 1»
""",
    level=0.6,
)

_add(
    "walk_tree in_order tree_values list_tree",
    "tree -> list[int]",
    """
def $f($pair):
    if $pair is None:
        return []
    $val, $left, $right = $pair
    return «$f($left) + [$val] + $f($right)¦[$val] + $f($left) + $f($right)»
""",
    level=0.6,
)

_add(
    "build_list list_to_array chain_values / Node Link Item",
    "ints1 -> list[int]",
    """
class $g:
    def __init__(self, value, following=None):
        self.value = value
        self.following = following

def $f($xs):
    $head = None
    for $x in «$xs[:3]¦reversed($xs[:3])»:
        $head = $g($x, $head)
    $out = []
    while $head is not None:
        $out.append($head.value)
        $head = $head.following
    return $out
""",
    level=0.7,
)

_add(
    "count_tokens tokenize split_expr read_tokens",
    "tight_expr -> list[str]",
    """
def $f($s):
    $out = []
    $num = ''
    for $ch in $s:
        if $ch.isdigit():
            $num += $ch
        else:
            if $num:
                $out.append($num)
                $num = ''
            $out.append($ch)
    if $num:
        $out.append($num)
    return $out
""",
    level=0.4,
)

_add(
    "sum_expr eval_sum add_terms evaluate_terms / split_terms tokens_of read_terms",
    "tight_expr -> int",
    """
def $g($s):
    return $s.replace('-', '+-').split('+')

def $f($s):
    $total = 0
    for $part in $g($s):
        if $part:
            $total += int($part)
    return $total
""",
    level=0.5,
)

_add(
    "match_pairs pair_people draw_pairs couples",
    "names -> list",
    """
def $f($ws):
    $out = []
    while len($ws) > 1:
        $a = $ws.pop(0)
        $b = $ws.pop()
        $out.append(«($a, $b)¦f'{$a}-{$b}'¦[$a, $b]»)
    «if $ws:
        $out.append($ws[0])
    »return $out
""",
    level=0.3,
)

_add(
    "vote_count count_votes election tally / add_vote register cast",
    "chars -> str",
    """
def $g($d, $name):
    if $name not in $d:
        $d[$name] = 0
    $d[$name] += 1

def $f($ws):
    $d2 = {}
    for $w in $ws:
        $g($d2, $w)
    return «$d2¦max($d2, key=$d2.get)¦sorted($d2.items())»
""",
    level=0.4,
)

_add(
    "use_cache cached_values compute_all remember / slow_value expensive compute_one",
    "dups -> list[int]",
    """
def $g($x):
    return @linear($x)

def $f($xs):
    $memo = {}
    $out = []
    for $y in $xs:
        if $y not in $memo:
            $memo[$y] = $g($y)
        $out.append($memo[$y])
    return «$out¦$out, len($memo)¦$memo»
""",
    level=0.4,
)

_add(
    "bump_level level_up gain_points train_hero / Hero Player Monster Pet",
    "ints -> tuple",
    """
class $g:
    def __init__(self, name):
        self.name = name
        self.level = 1
        self.points = 0

    def gain(self, n):
        self.points += n
        while self.points >= 10:
            self.points -= 10
            self.level += 1

def $f($xs):
    $obj = $g(@person)
    for $x in $xs:
        if $x > 0:
            $obj.gain($x)
    return $obj.level, $obj.points
""",
    level=0.6,
)

_add(
    "run_timer tick_clock pass_time / Clock Timer Watch",
    "two_digits, small -> str",
    """
class $g:
    def __init__(self, minutes):
        self.hour = minutes // 60
        self.minute = minutes % 60

    def tick(self, n=1):
        self.minute += n
        if self.minute >= 60:
            self.minute -= 60
            self.hour += 1

    def show(self):
        return f'{self.hour}:{self.minute:02d}'

def $f($n, $k):
    $obj = $g($n)
    for _ in range($k):
        $obj.tick(«@int(5,25)¦¦@int(2,9)»)
    return $obj.show()
""",
    level=0.6,
)

_add(
    "borrow_books library_day lend / Library Shelf Store",
    "words, elem_word -> list[bool]",
    """
class $g:
    def __init__(self, titles):
        self.titles = titles
        self.lent = {}

    def lend(self, title, name):
        if title not in self.titles or title in self.lent:
            return False
        self.lent[title] = name
        return True

def $f($ws, $w):
    $obj = $g($ws)
    $out = []
    for $name in [@person, @person]:
        $out.append($obj.lend($w, $name))
    return $out
""",
    level=0.6,
)
