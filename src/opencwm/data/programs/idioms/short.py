# ruff: noqa: E501  (tables and templates: a line is one entry)
"""Short functions on strings, lists and dicts of the kind that benchmarks of execution are made of: called `f`,
generic parameters, some methods applied one after the other. All written for this generator."""

from opencwm.data.programs.template import idiom

FAMILY = "short"


def _add(signature: str, text: str, **more: object) -> None:
    IDIOMS.append(idiom(FAMILY, "f f f f process func run change", signature, text, **more))  # type: ignore[arg-type]


IDIOMS = []  # type: ignore[var-annotated]

_add(
    "text -> str",
    """
def $f($s):
    $u = @sexpr($s)
    «return @sexpr($u)¦if @wpred($u):
        return @sexpr($u)
    return $s¦$u = @sexpr($u)
    return $u + @mark»
""",
    weight=2,
)
_add(
    "text, char -> int",
    """
def $f($s, $ch):
    «$pos = $s.find($ch)
    if $pos «== -1¦< 0»:
        return «len($s)¦-1¦0»
    return $pos¦if $ch not in $s:
        return -1
    return $s.«index¦rindex¦count»($ch)¦return $s.count($ch) «* 2¦+ len($s)¦- 1»»
""",
    weight=1.5,
)
_add(
    "mixed, char -> str",
    """
def $f($s, $ch):
    «$parts = $s.split($ch)
    return @sep.join($parts)¦while $ch in $s:
        $s = $s.replace($ch, '', 1)
    return $s¦$out = list($s)
    $out.append($ch)
    «$out.reverse()
    »return ''.join($out)¦$u = $s.replace($ch, @mark)
    return $u«[::-1]»»
""",
    weight=1.5,
)
_add(
    "mixed -> str",
    """
def $f($s):
    $out = list($s)
    «$out.sort(«reverse=True¦»)¦$out.reverse()¦$out.pop(«0¦»)¦$out.insert(@int(0,3), @mark)¦$out = $out[«1:¦::2¦:-1»]»
    «for $i in range(len($out)):
        if @cpred($out[$i]):
            $out[$i] = @mark
    »return @sep.join($out)
""",
    weight=1.5,
)
_add(
    "ints, elem -> list[int]",
    """
def $f($xs, $n):
    «if $n in $xs:
        $xs.remove($n)
    else:
        $xs.append($n)¦$xs.insert(len($xs) // 2, $n)¦$xs = $xs + [$n] * @int(1,3)¦$xs.append($n)
    $xs.sort()¦for $i in range(len($xs)):
        if $xs[$i] «>¦<¦==» $n:
            $xs[$i] = «0¦$n¦-1»»
    return $xs«[::-1]¦¦[1:]»
""",
    weight=2,
)
_add(
    "ints -> list[int]",
    """
def $f($xs):
    $ys = «$xs[:]¦$xs.copy()¦list($xs)¦sorted($xs)»
    «$ys.reverse()
    »«for $x in $xs:
        if @pred($x):
            $ys.remove($x)¦for $x in $xs:
        if $ys.count($x) > 1:
            $ys.remove($x)¦while len($ys) > @int(1,3):
        $ys.pop(«0¦»)¦$ys.extend($xs[«:2¦-2:¦1:2»])¦$ys.append(sum($xs))¦$ys.insert(0, len($ys))»
    return $ys
""",
    weight=2,
)
_add(
    "ints2, small -> list[int]",
    """
def $f($xs, $k):
    «$a = $xs[:$k]
    $b = $xs[$k:]
    return $b + $a¦for _ in range(min($k, len($xs))):
        $x = $xs.pop()
        $xs.insert(0, $x)
    return $xs¦$out = []
    while len($xs) > 0 and $k > 0:
        $out.append($xs.pop(«0¦»))
        $k -= 1
    return $out¦$xs[$k % len($xs)] = $k
    return $xs»
""",
    weight=1.5,
)
_add(
    "counts, key_of -> int",
    """
def $f($d, $key):
    «if $key in $d:
        return $d[$key]
    return «-1¦len($d)¦0»¦$d[$key] = $d.get($key, «0¦5») + 1
    return «$d¦$d[$key]»¦$val = $d.pop($key, «None¦0»)
    return «$val¦$d¦$val, len($d)»¦$d.setdefault($key, «0¦9»)
    return «$d¦sum($d.values())¦$d»»
""",
    weight=1.5,
)
_add(
    "counts -> list",
    """
def $f($d):
    «$out = []
    for $key, $val in $d.items():
        if @pred($val):
            $out.append($key)
    return $out¦return sorted($d.«keys¦values¦items»())¦$res = {}
    for $key in $d:
        $res[$d[$key]] = $key
    return $res¦$out = list($d.values())
    $out.sort()
    return $out[«-1¦0¦::-1»]¦while len($d) > «1¦2»:
        $d.popitem()
    return $d¦return [$key * $val for $key, $val in $d.items() if $val < 4]»
""",
    weight=1.5,
)
_add(
    "words, elem_word -> list[str]",
    """
def $f($ws, $w):
    «if $w in $ws:
        $ws.remove($w)
    return $ws¦return [$x for $x in $ws if $x «!=¦>¦<» $w]¦$pos = $ws.index($w) if $w in $ws else -1
    return «$pos¦$ws[:$pos]¦$ws[$pos + 1:]»¦$out = []
    for $x in $ws:
        if $x.startswith($w[:1]):
            $out.append(@wexpr($x))
    return $out»
""",
    weight=1.5,
)
_add(
    "words -> str",
    """
def $f($ws):
    «return @sep.join($ws)«.upper()¦.title()¦[::-1]»¦$u = ''
    for $w in $ws:
        $u += $w[«0¦-1¦:2»]
    return $u¦$u = @sep.join(sorted($ws))
    return @sexpr($u)¦$ws.reverse()
    return @sep.join($ws)¦return @sep.join($w for $w in $ws if @wpred($w))»
""",
    weight=1.5,
)
_add(
    "text -> list[str]",
    """
def $f($s):
    «$parts = $s.split()
    return [$part«.lower()¦[::-1]¦[0]» for $part in $parts]¦$out = []
    for $part in $s.split():
        $out.insert(0, $part)
    return $out¦$out = $s.split(«'a'¦'e'¦' '¦','»)
    return «$out¦len($out)¦$out[-1]»¦$out = []
    for $i in range(min(len($s), @int(4,6))):
        $out.append($s[«$i:¦:$i¦$i:$i + 2»])
    return $out»
""",
    weight=1.2,
)
_add(
    "int, int -> int",
    """
def $f($a, $b):
    «$c = $a @op $b
    if $c «> @int(5,20)¦% 2 == 0¦< 0»:
        return «$c - $a¦$c * 2¦abs($c)¦$b»
    return «$c¦$a¦-$c»¦while $a > $b and $b > 0:
        $a -= $b
    return $a¦$a, $b = $b, $a
    return $a «*¦-» @int(2,4) «+¦-» $b¦if $a > $b:
        $a, $b = $b, $a
    return $b - $a¦return max($a, $b) - min($a, $b) «* 2¦+ 1»»
""",
    weight=1.5,
)
_add(
    "int -> int",
    """
def $f($n):
    $x = @linear($n)
    $y = @expr($x)
    «if @pred($y):
        $y «+=¦-=¦*=» @int(2,5)
    »«$c = $x @op $y
    return $c¦return $y¦return $x + $y¦return $y if $x > $y else $x»
""",
    weight=1.5,
)
_add(
    "mixed -> bool",
    """
def $f($s):
    «for $ch in $s:
        if @cpred($ch):
            return «True¦False»
    return «False¦True¦$s»¦return $s.«isalpha¦isdigit¦islower¦isupper¦isalnum¦istitle»()¦§any $flag = @cpred($ch) for $ch in $s
    return $flag¦§all $flag = @cpred($ch) for $ch in $s
    return $flag»
""",
    weight=1.2,
)
_add(
    "word, word -> str",
    """
def $f($s, $t):
    «if len($s) «>¦<¦==» len($t):
        return $s
    return «$t¦$t + $s¦$s + $t[1:]»¦$u = ''
    for $ch in $s:
        if $ch «in¦not in» $t:
            $u += $ch
    return $u¦return $s[:2] + $t[-2:]¦if $t in $s or $s[0] == $t[0]:
        return $s.replace($t, '')
    return $s + $t¦$i = 0
    while $i < len($s) and $i < len($t):
        if $s[$i] == $t[$i]:
            return $s[$i]
        $i += 1
    return ''»
""",
    weight=1.5,
)
_add(
    "text, small -> str",
    """
def $f($s, $n):
    «return $s[:$n] + $s[$n:].«upper()¦title()¦swapcase()¦strip()»¦if len($s) «<¦>» $n «+ 4¦* 2»:
        return «$s * 2¦$s + '!'¦$s[::-1]»
    return $s[:$n]¦$u = $s[$n:]
    return $u«.center(len($s), '*')¦.ljust(len($s), '-')¦.zfill(len($s))»¦return @sexpr($s)[:$n]»
""",
    weight=1.5,
)
_add(
    "dups -> dict[int, int]",
    """
def $f($xs):
    $d = {}
    for $x in $xs:
        «$d[$x] = $xs.count($x)¦if $x in $d:
            $d[$x] += «1¦$x»
        else:
            $d[$x] = «1¦0»¦$d.setdefault($x, len($d))¦$d[$x % 3] = $x»
    return $d
""",
    weight=1.2,
)
_add(
    "int_map -> list",
    """
def $f($d):
    «$out = []
    for $key in sorted($d):
        $out.append($key * $d[$key])
    return $out¦return {$val: $key for $key, $val in $d.items()}¦$total = 0
    for $key, $val in $d.items():
        $total += $key if $key > $val else $val
    return $total¦$d[len($d)] = sum($d)
    return $d¦return [$val for $key, $val in $d.items() if $key % 2 == 0]»
""",
    weight=1.2,
)
_add(
    "pairs -> dict[str, int]",
    """
def $f($pairs):
    «$d = dict($pairs)
    return «$d¦list($d)¦max($d.values())»¦$d = {}
    for $key, $val in $pairs:
        $d[$key] = $d.get($key, 0) + $val
    return $d¦return [$b for $a, $b in $pairs]¦$a = [$x[0] for $x in $pairs]
    $b = [$x[1] for $x in $pairs]
    return $a, «$b¦sum($b)»»
""",
    weight=1.0,
)
_add(
    "text -> str",
    """
def $f($s):
    $parts = $s.split(«' '¦»)
    «$parts.reverse()¦$parts.sort()¦$parts.append(@mark)¦$parts = $parts[«1:¦:-1¦::-1»]¦$parts.insert(0, @mark)¦$parts[0] = @wexpr($parts[0])»
    return @sep.join($parts)
""",
    weight=1.5,
)
_add(
    "mixed, mixed -> str",
    """
def $f($s, $t):
    «if $s.startswith($t[:1]):
        return $s[len($t):]
    return $t¦$a = len($s)
    $b = len($t)
    if $a > $b:
        return $s[$b:]
    «return $t[$a:]¦return $s + $t[$a:]»¦for $ch in $t:
        $s = $s.replace($ch, «''¦'-'¦$ch.upper()», 1)
    return $s¦return ''.join($a + $b for $a, $b in zip($s, $t))¦return $s.«strip¦lstrip¦rstrip»($t)»
""",
    weight=1.5,
)
_add(
    "text, small -> list[str]",
    """
def $f($s, $n):
    «$out = []
    while $s:
        $out.append($s[:$n])
        $s = $s[$n:]
    return $out¦$out = $s.split()
    return [$w for $w in $out if len($w) > $n]¦return [$ch * $n for $ch in $s[:3]]¦$out = []
    for $i in range(0, len($s), $n + 1):
        $out.append($s[$i])
    return $out¦return $s.split(' ', $n)»
""",
    weight=1.2,
)
_add(
    "ints, ints -> list[int]",
    """
def $f($xs, $ys):
    «for $x in $ys:
        if $x in $xs:
            $xs.remove($x)
        else:
            $xs.append($x)
    return $xs¦$xs.extend($ys)
    «$xs.sort()¦$xs.reverse()»
    return $xs«¦[:4]»¦$out = [$x for $x in $xs if $x not in $ys]
    return $out + $ys[:2]¦while $ys and len($xs) < @int(6,9):
        $xs.append($ys.pop(«0¦»))
    return $xs¦$out = $xs.copy()
    $out[len($out):] = $ys
    return $out¦return $ys if len($xs) > len($ys) else $xs»
""",
    weight=1.5,
)
_add(
    "ints, int -> bool",
    """
def $f($xs, $n):
    «if not $xs:
        return False
    return $xs[0] «>¦<¦==» $n¦for $x in $xs:
        if $x «>¦==¦<» $n:
            return True
    return False¦return $n in $xs and $xs.count($n) > 1¦return all($x «>¦<¦!=» $n for $x in $xs)¦return sum($xs) «>¦==¦<» $n * 2¦$ys = sorted($xs)
    return $ys == $xs or $n > $ys[-1]»
""",
    weight=1.2,
)
_add(
    "ints -> int",
    """
def $f($xs):
    «$count = 0
    for $x in $xs:
        if $x «== max($xs)¦> $xs[0]¦!= $xs[-1]¦% 2 == len($xs) % 2»:
            $count += 1
    return $count¦$total = 0
    while len($xs) > 1:
        $total += $xs.pop() - $xs.pop(0)
    return $total¦$res = 0
    for $i, $x in enumerate($xs):
        $res += $x if $i % 2 else -$x
    return $res¦$best = 0
    for $x in $xs:
        $best = $x if $x > $best else $best - 1
    return $best¦if len($xs) % 2 == 0:
        return $xs[len($xs) // 2 - 1] if $xs else 0
    return $xs[len($xs) // 2]¦return max($xs, default=0) - min($xs, default=0)¦$res = 1
    for $x in $xs[:3]:
        $res *= $x if $x else 1
    return $res»
""",
    weight=2,
)
_add(
    "counts, counts2 -> dict[str, int]",
    """
def $f($d, $dd):
    «for $key in $dd:
        «$d[$key] = $dd[$key]¦if $key in $d:
            $d.pop($key)¦if $key not in $d:
            $d[$key] = len($d)»
    return $d¦$res = {}
    for $key in $d:
        if $key in $dd:
            $res[$key] = $d[$key] - $dd[$key]
    return $res¦$d.update($dd)
    return «len($d)¦sorted($d)¦$d»¦return {$key: $val for $key, $val in $d.items() if $key not in $dd}»
""",
    weight=1.3,
)
_add(
    "words, sep -> str",
    """
def $f($ws, $sep):
    «$u = $sep.join($ws)
    return «$u.upper()¦$u[::-1]¦len($u)¦$u.split($sep)[0]»¦$u = $sep
    for $w in $ws:
        $u += $w + $sep
    return $u«.strip($sep)»¦return $sep.join([$w for $w in $ws if $sep not in $w])¦$ws.insert(1, $sep)
    return ''.join($ws)»
""",
    weight=1.3,
)
_add(
    "words, counts -> list[int]",
    """
def $f($ws, $d):
    «return [$d[$w] for $w in $ws if $w in $d]¦for $w in $ws:
        $d[$w] = $d.get($w, 0) + 1
    return $d¦$out = []
    for $w in $ws:
        $val = $d.get($w)
        if $val is None:
            continue
        $out.append($val)
    return $out¦for $i, $w in enumerate($ws):
        if $w not in $d:
            $d[$w] = $i
    return $d»
""",
    weight=1.2,
)
_add(
    "word, int -> str",
    """
def $f($s, $n):
    «if $n < 0:
        return $s[::-1]
    return $s + str($n)¦return '%s-%d' % ($s, $n)¦return '{}:{}'.format($n, $s)¦return f'{$s}{$n}' if $n % 2 else f'{$n}{$s}'¦$u = str($n)
    return $s.«rjust¦ljust»(len($s) + len($u), $u[0])¦return $s if len($s) > $n else str($n) + $s»
""",
    weight=1.3,
)
_add(
    "mixed -> int",
    """
def $f($s):
    «$a = 0
    $b = 0
    for $ch in $s:
        if @cpred($ch):
            $a += 1
        «elif @cpred($ch)¦else»:
            $b += 1
    return «$a - $b¦max($a, $b)¦$a * 10 + $b»¦return len($s) - len($s.replace(@char, ''))¦$pos = -1
    for $i, $ch in enumerate($s):
        if @cpred($ch):
            $pos = $i
    return $pos¦return sum(int($ch) for $ch in $s if $ch.isdigit())¦return $s.«find¦rfind¦count»(@char)»
""",
    weight=1.5,
)
_add(
    "numeric -> str",
    """
def $f($s):
    «$n = int($s)
    if $n % 2 == 0:
        return $s«[::-1]¦ + '0'¦[1:]»
    return str($n + 1)¦$out = sorted($s«, reverse=True»)
    return ''.join($out)¦$total = 0
    for $ch in $s:
        $total += int($ch)
    return $s + str($total % 10)¦return $s.zfill(@int(4,7))¦$u = ''
    for $ch in $s:
        $u += '0' if $ch «> '4'¦in '02468'¦== $s[0]» else $ch
    return $u»
""",
    weight=1.3,
)
_add(
    "nested -> list",
    """
def $f($xs):
    «return [$x for $x in $xs if isinstance($x, «int¦list»)]¦$out = []
    for $x in $xs:
        if type($x) is list:
            $out += $x
        else:
            $out.append($x)
    return $out¦return [len($x) if isinstance($x, list) else 0 for $x in $xs]¦$xs.append($xs[:1])
    return $xs»
""",
    weight=0.8,
)
_add(
    "grid -> list[list[int]]",
    """
def $f($grid):
    «for $row in $grid:
        $row.«reverse()¦sort()¦append(0)¦pop()¦insert(0, len($row))»
    return $grid¦$grid[0], $grid[-1] = $grid[-1], $grid[0]
    return $grid¦return [$row[::-1] for $row in $grid]¦$grid.append([«0¦1» for _ in $grid[0]])
    return $grid¦return [[$x «+ 1¦* 2¦% 3» for $x in $row] for $row in $grid]¦return max($grid, key=lambda $row: sum($row))»
""",
    weight=1.3,
)
_add(
    "int_pairs -> list",
    """
def $f($pairs):
    «return sorted($pairs, key=lambda $x: «$x[1]¦-$x[0]¦$x[0] + $x[1]»)¦return [($b, $a) for $a, $b in $pairs]¦$d = {}
    for $a, $b in $pairs:
        $d.setdefault($a, []).append($b)
    return $d¦$pairs.append(($pairs[0][1], $pairs[0][0]))
    return $pairs[1:]¦$a, $b = $pairs[0]
    for $x, $y in $pairs[1:]:
        $a += $x
        $b -= $y
    return $a, $b»
""",
    weight=1.2,
)
