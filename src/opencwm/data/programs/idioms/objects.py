"""Idioms with small classes, closures, and exceptions raised and handled."""

from opencwm.data.programs.template import idiom

IDIOMS = []  # type: ignore[var-annotated]


def _class(names: str, signature: str, text: str, **more: object) -> None:
    IDIOMS.append(idiom("classes", names, signature, text, **more))  # type: ignore[arg-type]


def _error(names: str, signature: str, text: str, **more: object) -> None:
    IDIOMS.append(idiom("errors", names, signature, text, **more))  # type: ignore[arg-type]


_class(
    "count_events run_counter use_counter tally / Counter Tally Clicker HitCounter",
    "ints -> int",
    """
class $g:
    def __init__(self):
        self.n = «0¦1¦@int(0,5)»

    def add(self, $x):
        «self.n += $x¦self.n = self.n + $x¦if $x > 0:
            self.n += $x»
        «return self.n
    »

def $f($xs):
    $obj = $g()
    for $x in $xs:
        $obj.add($x)
    return $obj.n
""",
    level=0.4,
    weight=2,
)

_class(
    "run_account process_account final_balance / Account Wallet BankAccount Purse",
    "nat, steps -> int",
    """
class $g:
    def __init__(self, $amount):
        self.balance = $amount

    def deposit(self, $amount):
        self.balance += $amount

    def withdraw(self, $amount):
        if $amount > self.balance:
            return False
        self.balance -= $amount
        return True

def $f($start, $xs):
    $obj = $g($start)
    for $x in $xs:
        if $x >= 0:
            $obj.deposit($x)
        else:
            $obj.withdraw(-$x)
    return $obj.balance
""",
    level=0.5,
    weight=1.5,
)

_class(
    "use_stack push_all stack_result / Stack Pile Holder",
    "ints -> list[int]",
    """
class $g:
    def __init__(self):
        self.items = []

    def push(self, $x):
        self.items.append($x)

    def pop(self):
        if not self.items:
            return None
        return self.items.pop()

def $f($xs):
    $obj = $g()
    for $x in $xs:
        if @pred($x):
            $obj.push($x)
        else:
            $obj.pop()
    return $obj.items
""",
    level=0.5,
    weight=1.3,
)

_class(
    "simulate_queue wait_line serve_all / Queue Line WaitingList",
    "words -> list[str]",
    """
class $g:
    def __init__(self, limit):
        self.limit = limit
        self.people = []

    def join(self, $name):
        if len(self.people) >= self.limit:
            return False
        self.people.append($name)
        return True

def $f($ws):
    $obj = $g(@int(1,3))
    $out = []
    for $w in $ws:
        $out.append($obj.join($w))
    return «$out¦$obj.people¦$out.count(True)»
""",
    level=0.5,
)

_class(
    "move_point travel shift_point / Point Position Spot Vector",
    "pair, int_pairs -> tuple[int, int]",
    """
class $g:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def move(self, dx, dy):
        self.x += dx
        self.y «+=¦-=» dy

    def «as_tuple¦get¦coords»(self):
        return self.x, self.y

def $f($pair, $pairs):
    $obj = $g(*$pair)
    for $a, $b in $pairs:
        $obj.move($a, $b)
    return $obj.x, $obj.y
""",
    level=0.5,
)

_class(
    "add_points sum_points combine_points / Point Vec Pair",
    "int_pairs -> list[int]",
    """
class $g:
    def __init__(self, across, up):
        self.across = across
        self.up = up

    def plus(self, other):
        return $g(self.across + other.across, self.up + other.up)

def $f($pairs):
    $total = $g(0, 0)
    for $a, $b in $pairs:
        $total = $total.plus($g($a, $b))
    return [$total.across, $total.up]
""",
    level=0.6,
)

_class(
    "area_of rectangle_area measure_box / Rectangle Box Tile",
    "small, small -> int",
    """
class $g:
    def __init__(self, width, height):
        self.width = width
        self.height = height

    def area(self):
        return self.width * self.height

    def «grow¦scale¦stretch»(self, n):
        self.width += n
        «self.height += n¦self.height *= n»

def $f($a, $b):
    $obj = $g($a, $b)
    $res = $obj.area()
    «if $res < @int(5,20):
        $obj.width += 1
        $res = $obj.area()
    »return «$res¦$res + $obj.width¦$res * 2»
""",
    level=0.3,
)

_class(
    "manage_stock sell_items shop_day / Inventory Shop Store Warehouse",
    "counts, changes -> dict[str, int]",
    """
class $g:
    def __init__(self, stock):
        self.stock = stock
        self.sold = 0

    def sell(self, name, n):
        if self.stock.get(name, 0) < n:
            return False
        self.stock[name] -= n
        self.sold += n
        return True

def $f($d, $pairs):
    $obj = $g($d)
    for $name, $count in $pairs:
        $obj.sell($name, abs($count))
    return «$obj.stock¦$obj.sold¦$obj.sold»
""",
    level=0.6,
)

_class(
    "run_light next_color step_states / Light Machine Switch Cycle",
    "small -> str",
    """
class $g:
    def __init__(self):
        self.state = '«red¦off¦a»'
        self.changes = 0

    def step(self):
        if self.state == '«red¦off¦a»':
            self.state = 'green'
        elif self.state == 'green':
            self.state = 'yellow'
        else:
            self.state = 'red'
        self.changes += 1

def $f($n):
    $obj = $g()
    for _ in range($n):
        $obj.step()
    return $obj.state
""",
    level=0.4,
)

_class(
    "grade_student average_marks student_report / Student Player Record",
    "name, ints1 -> str",
    """
class $g:
    def __init__(self, name):
        self.name = name
        self.marks = []

    def add(self, mark):
        if mark «< 0¦> 50»:
            return
        self.marks.append(mark)

    def best(self):
        return max(self.marks) if self.marks else 0

def $f($name, $xs):
    $obj = $g($name)
    for $x in $xs:
        $obj.add($x)
    return «f'{$obj.name}: {$obj.best()}'¦$obj.best()¦$obj.name + str(len($obj.marks))»
""",
    level=0.5,
)

_class(
    "track_best run_tracker best_seen / Tracker Monitor Sensor",
    "ints -> tuple",
    """
class $g:
    def __init__(self):
        self.best = None
        self.count = 0

    def see(self, $x):
        self.count += 1
        if self.best is None or $x «>¦<» self.best:
            self.best = $x

def $f($xs):
    $obj = $g()
    for $x in $xs:
        $obj.see($x)
    return $obj.best, $obj.count
""",
    level=0.5,
)

_class(
    "describe_pets animal_sounds make_noise / Animal Pet / Dog Puppy Cat",
    "name, tiny -> str",
    """
class $g:
    def __init__(self, name):
        self.name = name

    def sound(self):
        return '«...¦hm¦oh»'

    def speak(self, n):
        return self.name + ' ' + self.sound() * n

class $h($g):
    def sound(self):
        return '«woof¦miau¦grr»'

def $f($name, $k):
    «$obj = $h($name)
    return $obj.speak($k)¦$out = []
    for $obj in [$g($name), $h(@person)]:
        $out.append($obj.speak($k))
    return $out»
""",
    level=0.6,
)

_class(
    "apply_adder make_and_use shift_with / make_adder adder build_step get_func",
    "int, ints -> list[int]",
    """
def $g($n):
    def $func($x):
        return $x «+¦-¦*» $n
    return $func

def $f($k, $xs):
    $func = $g($k)
    «return [$func($y) for $y in $xs]¦$out = []
    for $y in $xs:
        $out.append($func($y))
    return $out»
""",
    level=0.5,
)

_class(
    "count_calls use_closure run_closure / make_counter counter_func new_counter",
    "small -> int",
    """
def $g($start):
    $count = $start
    def bump($k):
        nonlocal $count
        $count += $k
        return $count
    return bump

def $f($n):
    $func = $g(@int(0,5))
    for $i in range($n):
        $func(«$i¦2¦$i + 1»)
    return $func(«0¦1»)
""",
    level=0.6,
)

_class(
    "apply_twice repeat_func compose run_steps / double triple add_two shrink bump",
    "int -> int",
    """
def $g($x):
    return @linear($x)

def $f($n):
    «$func = $g
    for _ in range(@int(2,4)):
        $n = $func($n)
    return $n¦return $g($g($n))¦for $func in [$g, lambda $y: @linear($y)]:
        $n = $func($n)
    return $n»
""",
    level=0.4,
)

_class(
    "total_all sum_args combine_all / add_many sum_of pack_args",
    "int, int, small -> int",
    """
def $g(*$args):
    «return sum($args)¦$total = 0
    for $x in $args:
        §add $total <- $x
    return $total¦return max($args) - len($args)»

def $f($a, $b, $c):
    return «$g($a, $b, $c)¦$g($a, $b) + $g($c)¦$g(*[$a, $b, $c])¦$g($a) * $g($b, $c)»
""",
    level=0.4,
)

_error(
    "safe_divide divide_or_none try_divide ratio",
    "int, int -> int",
    """
def $f($a, $b):
    «try:
        return $a // $b
    except ZeroDivisionError:
        return «0¦-1¦None»¦if $b == 0:
        raise ValueError(@msg)
    return $a // $b¦try:
        $res = $a // $b
    except ZeroDivisionError as $e:
        $res = «str($e)¦None¦$a»
    else:
        $res += @int(1,5)
    return $res»
""",
    level=0.2,
)

_error(
    "to_int parse_int safe_int read_number convert",
    "numeric_bad -> int",
    """
def $f($s):
    «try:
        return int($s)«¦ * 2¦ + @int(1,9)»
    except ValueError:
        return «0¦-1¦None»¦try:
        $num = int($s)
    except ValueError as $e:
        return «0¦-1¦len($s)»
    else:
        return $num @op @int(1,9)¦try:
        $num = int($s)
    except ValueError:
        $num = «0¦-1»
    finally:
        $s = «'done'¦''¦'x'»
    return $num»
""",
    level=0.2,
    weight=1.5,
)

_error(
    "sum_valid count_bad parse_all convert_all read_all",
    "numerics -> int",
    """
def $f($ws):
    $total = 0
    $count = 0
    for $w in $ws:
        try:
            «$total += int($w)¦$num = int($w)
            $total += $num»
        except ValueError:
            «$count += 1¦continue¦$count += 1»
    return «$total¦$total, $count¦$count¦$total - $count»
""",
    level=0.3,
    weight=1.5,
)

_error(
    "check_age validate check_value require_range set_level",
    "step -> int",
    """
def $f($x):
    if $x < 0:
        raise ValueError(«@msg¦f'bad value {$x}'»)
    «if $x > @int(5,20):
        raise @raising(«@msg¦f'too big: {$x}'»)
    »return @linear($x)
""",
    level=0.2,
    weight=0.6,
)

_error(
    "try_values check_all run_checks process_all / validate check verify ensure",
    "steps -> list",
    """
def $g($x):
    if «$x < 0¦@pred($x)¦$x < @int(0,4)»:
        raise «ValueError(@msg)¦ValueError(f'bad {$x}')¦ValueError($x)»
    «if $x @cmp @int(2,6):
        return $x
    »return @linear($x)

def $f($xs):
    $out = []
    «$count = 0
    for $x in $xs:
        try:
            $out.append($g($x))
        except ValueError:
            $count += 1
    return $out, $count¦for $x in $xs:
        try:
            $y = $g($x)
        except ValueError as $e:
            $out.append(«str($e)¦-1¦None»)
        else:
            $out.append($y)
    return $out¦for $x in $xs:
        try:
            $out.append($g($x))
        except ValueError:
            «break¦continue¦$out.append(0)»
    return $out»
""",
    level=0.4,
    weight=2,
)

_error(
    "get_item item_at safe_get fetch",
    "ints, small -> int",
    """
def $f($xs, $i):
    try:
        return $xs[$i]
    except IndexError:
        return «None¦-1¦$xs[-1]¦len($xs)»
""",
    level=0.2,
)

_error(
    "lookup find_price get_value must_get",
    "counts, key_of -> int",
    """
def $f($d, $key):
    «try:
        $val = $d[$key]
    except KeyError«¦ as $e»:
        «return -1¦$val = 0¦return f'no {$key}'»
    return $val¦if $key not in $d:
        raise KeyError($key)
    return $d[$key]»
""",
    level=0.2,
)

_error(
    "first_error stop_on_error handle_all attempt_all / risky step_one compute_one apply_one",
    "more_ints, small -> tuple",
    """
def $g($a, $b):
    if $b == 0:
        raise ZeroDivisionError(@msg)
    «if $a @cmp @int(4,15):
        raise ValueError(@msg)
    »return $a «//¦%» $b

def $f($xs, $k):
    $total = 0
    for $i, $x in enumerate($xs):
        try:
            $total += $g($x, $i % ($k + 1))
        except (ZeroDivisionError, ValueError) as $e:
            «$total -= 1¦return $i, str($e)¦$total += len(str($e))»
    return $total
""",
    level=0.5,
    weight=1.3,
)

_error(
    "with_cleanup run_and_log logged tidy_run / work do_work task",
    "int, small -> list[str]",
    """
def $g($n, $k):
    if $n < $k:
        raise @raising(@msg)
    return $n - $k

def $f($n, $k):
    $out = []
    try:
        $res = $g($n, $k)
        $out.append(str($res))
    except ValueError:
        $out.append('«bad¦error¦failed»')
    except Exception as $e:
        $out.append(type($e).__name__)
    finally:
        $out.append('«done¦end¦closed»')
    return $out
""",
    level=0.4,
    weight=1.3,
)

_error(
    "use_custom check_stock place_order spend_money / LimitError StockError TooMuch OrderError",
    "pos, ints -> int",
    """
class $g(Exception):
    pass

def $f($limit, $xs):
    $total = 0
    try:
        for $x in $xs:
            if $total + $x > $limit:
                raise $g(«@msg¦$x¦f'over by {$total + $x - $limit}'»)
            $total += $x
    except $g as $e:
        return «str($e)¦-1¦$total¦$e.args[0]»
    return $total
""",
    level=0.5,
)

_error(
    "retry try_again attempt_until keep_trying / maybe unsafe flaky risky_step",
    "small -> int",
    """
def $g($n):
    if $n < @int(2,4):
        raise RuntimeError(@msg)
    return $n * @int(2,5)

def $f($limit):
    $attempt = 0
    while $attempt < $limit:
        try:
            return $g($attempt)
        except RuntimeError:
            $attempt += 1
    return -1
""",
    level=0.5,
)

_error(
    "assert_positive checked_sum safe_total strict_sum",
    "ints -> int",
    """
def $f($xs):
    «assert $xs, @msg
    »$total = 0
    for $x in $xs:
        assert $x >= 0, «@msg¦f'negative {$x}'»
        $total += $x
    return $total
""",
    level=0.4,
    weight=0.5,
)

_error(
    "reraise convert_error wrap_error translate",
    "counts, key_of -> str",
    """
def $f($d, $key):
    try:
        try:
            $val = $d[$key]
        except KeyError:
            raise ValueError(@msg)
        return str($val)
    except ValueError as $e:
        return «str($e)¦$key + '?'¦'none'»
""",
    level=0.5,
)
