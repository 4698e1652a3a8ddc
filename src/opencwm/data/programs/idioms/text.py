# ruff: noqa: E501  (tables and templates: a line is one entry)
"""Idioms on strings: counting, building, splitting, checking, coding."""

from opencwm.data.programs.template import idiom

FAMILY = "text"


def _add(names: str, signature: str, text: str, **more: object) -> None:
    IDIOMS.append(idiom(FAMILY, names, signature, text, **more))  # type: ignore[arg-type]


IDIOMS = []  # type: ignore[var-annotated]

_add(
    "count_vowels vowel_count num_vowels count_letters count_special",
    "text -> int",
    """
def $f($s):
    «$count = 0
    §each $ch in $s:
        if @cpred($ch):
            §add $count <- 1
    return $count¦§sum $count = 1 for $ch in $s if @cpred($ch)
    return $count¦$vowels = 'aeiou'
    $count = 0
    for $ch in $s.lower():
        if $ch in $vowels:
            $count += 1
    return $count¦return len([$ch for $ch in $s if @cpred($ch)])»
""",
    doc="Count certain characters.",
    weight=1.5,
)

_add(
    "keep_letters filter_chars only_some strip_chars clean remove_chars",
    "text -> str",
    """
def $f($s):
    «$u = ''
    §each $ch in $s:
        if @cpred($ch):
            §add $u <- «$ch¦$ch¦@cexpr($ch)»
    return $u¦return ''.join($ch for $ch in $s if @cpred($ch))¦$out = []
    for $ch in $s:
        if @cpred($ch):
            §push $out <- $ch
    return @sep.join($out)»
""",
    doc="Keep certain characters.",
    weight=1.3,
)

_add(
    "transform_chars mask convert encode_text replace_some swap_letters",
    "text -> str",
    """
def $f($s):
    $u = ''
    §each $ch in $s:
        if @cpred($ch):
            §add $u <- @cexpr($ch)
        «elif @cpred($ch):
            §add $u <- @mark
        »else:
            §add $u <- $ch
    return $u
""",
    doc="Replace characters one by one.",
)

_add(
    "reverse_text backwards flip_string reversed_copy mirror",
    "word -> str",
    """
def $f($s):
    «return $s[::-1]¦return ''.join(reversed($s))¦$u = ''
    §each $ch in $s:
        $u = $ch + $u
    return $u¦$u = ''
    for $i in range(len($s) - 1, -1, -1):
        §add $u <- $s[$i]
    return $u¦$out = list($s)
    $out.reverse()
    return ''.join($out)»
""",
)

_add(
    "is_palindrome palindrome reads_same check_palindrome symmetric",
    "palin -> bool",
    """
def $f($s):
    «$s = $s.lower()«.replace(' ', '')»
    »«return $s == $s[::-1]¦$left = 0
    $right = len($s) - 1
    while $left < $right:
        if $s[$left] != $s[$right]:
            return False
        $left += 1
        $right -= 1
    return True¦for $i in range(len($s) // 2):
        if $s[$i] != $s[-1 - $i]:
            return False
    return True¦$left, $right = 0, len($s) - 1
    while $left < $right:
        if $s[$left] != $s[$right]:
            return False
        $left, $right = $left + 1, $right - 1
    return True»
""",
    weight=1.3,
    doc="Whether a text reads the same both ways.",
)

_add(
    "caesar shift_text rotate_letters encrypt shift_letters",
    "word, small -> str",
    """
def $f($s, $k):
    $u = ''
    §each $ch in $s:
        if $ch.«isalpha¦islower»():
            «$code = (ord($ch) - ord('a') + $k) % 26
            §add $u <- chr($code + ord('a'))¦$code = ord($ch) - 97
            §add $u <- chr(($code + $k) % 26 + 97)»
        else:
            §add $u <- $ch
    return $u
""",
    level=0.4,
    doc="Shift letters by a number of places.",
)

_add(
    "letter_shift next_letters move_in_alphabet alphabet_shift",
    "word, small -> str",
    """
def $f($s, $k):
    $t = 'abcdefghij«klmnopqrstuvwxyz»'
    $u = ''
    for $ch in $s:
        «$pos = $t.find($ch)
        if $pos == -1:
            §add $u <- «$ch¦@mark»
        else:
            §add $u <- $t[($pos + $k) % len($t)]¦if $ch not in $t:
            continue
        $pos = $t.index($ch) + $k
        §add $u <- $t[$pos % len($t)]»
    return $u
""",
    level=0.4,
)

_add(
    "run_length encode compress rle_encode pack_runs",
    "runs -> str",
    """
def $f($s):
    «if not $s:
        return ''
    »$u = ''
    $count = 1
    «for $i in range(1, len($s)):
        if $s[$i] == $s[$i - 1]:
            $count += 1
        else:
            §add $u <- «$s[$i - 1] + str($count)¦str($count) + $s[$i - 1]¦f'{$s[$i - 1]}{$count}'»
            $count = 1
    $u += «$s[-1] + str($count)¦f'{$s[-1]}{$count}'¦str($count) + $s[-1]»¦$prev = $s[0]
    for $ch in $s[1:]:
        if $ch == $prev:
            §add $count <- 1
        else:
            §add $u <- $prev + str($count)
            $prev = $ch
            $count = 1
    $u += $prev + str($count)»
    return $u
""",
    level=0.3,
    doc="Write runs of equal characters as counts.",
)

_add(
    "expand_runs rle_decode unpack decode repeat_letters",
    "rle -> str",
    """
def $f($s):
    $u = ''
    «for $i in range(0, len($s), 2):
        §add $u <- $s[$i] * int($s[$i + 1])¦$i = 0
    while $i < len($s):
        $ch = $s[$i]
        $count = int($s[$i + 1])
        §add $u <- $ch * $count
        $i += 2»
    return $u
""",
)

_add(
    "capitalize_words title_case fix_names proper_case",
    "text -> str",
    """
def $f($s):
    «$out = []
    for $w in $s.split():
        §push $out <- «$w.capitalize()¦$w[0].upper() + $w[1:]¦$w[:1].upper() + $w[1:].lower()»
    return «' '.join($out)¦@sep.join($out)»¦return ' '.join($w.capitalize() for $w in $s.split())¦$parts = $s.split(' ')
    for $i in range(len($parts)):
        $parts[$i] = $parts[$i].title()
    return ' '.join($parts)»
""",
)

_add(
    "reverse_words flip_words words_backwards",
    "text -> str",
    """
def $f($s):
    $parts = $s.split(«' '¦»)
    «return «' '¦@sep».join($parts[::-1])¦$parts.reverse()
    return «' '¦@sep».join($parts)¦$u = ''
    for $part in reversed($parts):
        §add $u <- $part + ' '
    return $u.strip()¦return ' '.join($w[::-1] for $w in $parts)»
""",
)

_add(
    "longest_word longest find_longest biggest_word",
    "text -> str",
    """
def $f($s):
    $best = ''
    for $w in $s.split():
        if len($w) > len($best):
            $best = $w
    return $best
""",
)

_add(
    "acronym initials abbreviation short_form",
    "text -> str",
    """
def $f($s):
    «$u = ''
    for $w in $s.split():
        §add $u <- $w[0]«.upper()¦¦ + '.'»
    return $u¦$parts = [$w[0].upper() for $w in $s.split()]
    return @sep.join($parts)»
""",
)

_add(
    "count_words word_count num_words words_matching",
    "text -> int",
    """
def $f($s):
    «return len($s.split())¦$count = 0
    for $w in $s.split():
        if @wpred($w):
            §add $count <- 1
    return $count¦$parts = $s.split()
    §sum $count = 1 for $part in $parts if @wpred($part)
    return $count¦$count = 1
    for $ch in $s:
        if $ch == ' ':
            $count += 1
    return $count»
""",
)

_add(
    "char_positions find_all positions_of where_is",
    "text, char -> list[int]",
    """
def $f($s, $ch):
    «§map $out = $i for $i in range(len($s)) if $s[$i] == $ch
    return $out¦$out = []
    for $i, $c in enumerate($s):
        if $c == $ch:
            §push $out <- $i
    return $out¦$out = []
    $pos = $s.find($ch)
    while $pos != -1:
        §push $out <- $pos
        $pos = $s.find($ch, $pos + 1)
    return $out»
""",
    doc="All positions of a character.",
)

_add(
    "remove_duplicates unique_chars dedupe_letters squeeze",
    "mixed -> str",
    """
def $f($s):
    «$u = ''
    §each $ch in $s:
        if $ch not in $u:
            §add $u <- $ch
    return $u¦$seen = []
    $u = ''
    for $ch in $s:
        if $ch in $seen:
            continue
        $seen.append($ch)
        $u += $ch
    return $u¦$u = $s[:1]
    for $ch in $s[1:]:
        if $ch != $u[-1]:
            §add $u <- $ch
    return $u»
""",
)

_add(
    "balanced is_balanced check_brackets valid_brackets matching",
    "brackets -> bool",
    """
def $f($s):
    $stack = []
    «$pairs = {')': '(', ']': '[', '}': '{'}
    for $ch in $s:
        if $ch in $pairs:
            if not $stack or $stack.pop() != $pairs[$ch]:
                return False
        else:
            $stack.append($ch)¦$pairs = {'(': ')', '[': ']', '{': '}'}
    for $ch in $s:
        if $ch in $pairs:
            $stack.append($pairs[$ch])
        elif len($stack) == 0 or $ch != $stack.pop():
            return False»
    return «not $stack¦len($stack) == 0¦$stack == []»
""",
    level=0.4,
    weight=1.3,
    doc="Whether all brackets are closed in order.",
)

_add(
    "max_depth nesting_depth deepest bracket_depth",
    "brackets -> int",
    """
def $f($s):
    $depth = 0
    $best = 0
    §each $ch in $s:
        if $ch in '([{':
            $depth += 1
            «if $depth > $best:
                $best = $depth¦$best = max($best, $depth)»
        «elif $ch in ')]}'¦else»:
            $depth -= 1
    return $best
""",
    level=0.2,
)

_add(
    "parse_pairs parse_config read_options parse_settings to_dict",
    "kv -> dict[str, str]",
    """
def $f($s):
    $res = {}
    for $part in $s.split(';'):
        «if '=' not in $part:
            continue
        $key, $val = $part.split('=')
        $res[$key] = «$val¦int($val) if $val.isdigit() else $val¦$val.upper()»¦$pos = $part.find('=')
        if $pos > 0:
            $res[$part[:$pos]] = $part[$pos + 1:]¦$pair = $part.split('=')
        if len($pair) == 2:
            $key, $val = $pair
            $res[$key] = $val»
    return $res
""",
    level=0.3,
    weight=1.5,
    doc="Read key=value pairs.",
)

_add(
    "parse_numbers read_ints to_numbers parse_list",
    "csv_ints -> list[int]",
    """
def $f($s):
    $out = []
    for $part in $s.split(','):
        «if $part.isdigit():
            §push $out <- int($part)«
        else:
            §push $out <- «0¦-1¦None»»¦try:
            §push $out <- int($part)
        except ValueError:
            «continue¦$out.append(«0¦-1¦None»)¦pass»»
    return $out
""",
    level=0.3,
    weight=1.5,
    doc="Read the numbers of a comma-separated line.",
)

_add(
    "sum_csv total_of_line add_fields sum_parts",
    "csv_ints -> int",
    """
def $f($s):
    $total = 0
    for $part in $s.split(','):
        $part = $part.strip()
        «if not $part.isdigit():
            continue
        $total += int($part)¦if $part.isdigit():
            §add $total <- int($part)»
    return $total
""",
)

_add(
    "split_fields clean_fields parse_line tidy_items",
    "csv, sep? -> list[str]",
    """
def $f($s, $sep=','):
    «§map $out = $part.strip()«.upper()» for $part in $s.split($sep)
    return $out¦$out = []
    for $part in $s.split($sep):
        $part = @sexpr($part)
        if «$part¦$part != ''¦len($part) > 1»:
            §push $out <- $part
    return $out»
""",
)

_add(
    "is_anagram anagram same_letters",
    "word, elem_word -> bool",
    """
def $f($s, $t):
    «§yes sorted($s) == sorted($t)¦if len($s) != len($t):
        return False
    for $ch in $s:
        if $s.count($ch) != $t.count($ch):
            return False
    return True¦$out = list($t)
    for $ch in $s:
        if $ch not in $out:
            return False
        $out.remove($ch)
    return «not $out¦len($out) == 0»»
""",
)

_add(
    "common_prefix shared_start prefix_of same_start",
    "snake, snake -> str",
    """
def $f($s, $t):
    $u = ''
    «for $a, $b in zip($s, $t):
        if $a != $b:
            break
        §add $u <- $a¦$i = 0
    while $i < len($s) and $i < len($t) and $s[$i] == $t[$i]:
        §add $u <- $s[$i]
        $i += 1»
    return $u
""",
)

_add(
    "to_camel camel_case snake_to_camel join_parts",
    "snake -> str",
    """
def $f($s):
    $parts = $s.split('_')
    «return $parts[0] + ''.join($part.title() for $part in $parts[1:])¦$u = $parts[0]
    for $part in $parts[1:]:
        §add $u <- $part.capitalize()
    return $u»
""",
)

_add(
    "to_snake snake_case split_camel add_underscores",
    "caps -> str",
    """
def $f($s):
    $u = ''
    §each $ch in $s:
        if $ch.isupper():
            «if $u:
                $u += '_'
            §add $u <- $ch.lower()¦§add $u <- '_' + $ch.lower()»
        elif $ch != ' ':
            §add $u <- $ch
    return $u«.lstrip('_')»
""",
)

_add(
    "count_substring occurrences count_pattern overlap_count",
    "mixed, fragment -> int",
    """
def $f($s, $t):
    $count = 0
    «for $i in range(len($s) - len($t) + 1):
        if $s[$i:$i + len($t)] == $t:
            §add $count <- 1¦$i = 0
    while $i < len($s):
        if $s[$i:].startswith($t):
            §add $count <- 1
        $i += 1»
    return $count
""",
    level=0.2,
)

_add(
    "hamming differences count_diff mismatch_count",
    "word, word -> int",
    """
def $f($s, $t):
    «§sum $count = 1 for $a, $b in zip($s, $t) if $a != $b
    return $count« + abs(len($s) - len($t))»¦$count = 0
    for $i in range(min(len($s), len($t))):
        if $s[$i] != $t[$i]:
            §add $count <- 1
    return $count»
""",
)

_add(
    "pad_text pad fill_to make_width",
    "word, small -> str",
    """
def $f($s, $n):
    «while len($s) < $n + @int(2,5):
        $s = «'.' + $s¦$s + '-'¦'*' + $s»¦$s = $s.«rjust¦ljust¦center»(len($s) + $n, «'-'¦'.'¦'*'»)»
    return $s
""",
)

_add(
    "repeat_text stretch multiply_chars expand_by",
    "word, small -> str",
    """
def $f($s, $k):
    $u = ''
    «for $i, $ch in enumerate($s):
        §add $u <- $ch * «($i % 3 + 1)¦$k¦(2 if $i % 2 else 1)»¦for $ch in $s:
        for _ in range(min($k, 3)):
            §add $u <- $ch»
    return $u
""",
)

_add(
    "split_case separate_cases sort_letters upper_and_lower",
    "mixed -> tuple[str, str]",
    """
def $f($s):
    $a, $b = '', ''
    for $ch in $s:
        if @cpred($ch):
            $a += $ch
        else:
            $b += $ch
    return $a, $b
""",
)

_add(
    "alternate_case zigzag_case mixed_case funny_case",
    "word -> str",
    """
def $f($s):
    $u = ''
    for $i, $ch in enumerate($s):
        «if $i % 2 == 0:
            §add $u <- $ch.upper()
        else:
            §add $u <- $ch«.lower()»¦$u += $ch.upper() if $i % 2 else $ch¦$u += «$ch.upper() if $i % 3 == 0 else $ch¦$ch * ($i % 2 + 1)»»
    return $u
""",
)

_add(
    "extract_digits digits_of number_in get_number",
    "mixed -> int",
    """
def $f($s):
    «$u = ''
    for $ch in $s:
        if $ch.isdigit():
            §add $u <- $ch
    return int($u) if $u else «0¦-1»¦$total = 0
    for $ch in $s:
        if $ch.isdigit():
            §add $total <- int($ch)
    return $total¦$u = ''.join($ch for $ch in $s if $ch.isdigit())
    if $u == '':
        return «0¦-1»
    return int($u)»
""",
)

_add(
    "first_unique first_single unique_letter",
    "mixed -> str",
    """
def $f($s):
    for $ch in $s:
        if $s.count($ch) == 1:
            return $ch
    return «''¦'?'¦None»
""",
)

_add(
    "is_valid check_password valid_name check_code",
    "mixed -> bool",
    """
def $f($s):
    if len($s) < @int(3,6):
        return False
    «§any $flag = $ch.isdigit() for $ch in $s
    return $flag¦$flag = False
    $flag2 = False
    for $ch in $s:
        if $ch.isdigit():
            $flag = True
        elif $ch.isupper():
            $flag2 = True
    return $flag «and¦or» $flag2¦§all $flag = «$ch.isalnum()¦$ch.isalpha()¦$ch != ' '» for $ch in $s
    return $flag»
""",
)

_add(
    "format_name full_name make_label greeting",
    "word, word -> str",
    """
def $f($s, $t):
    «$u = $s.«title¦capitalize¦upper»()
    return f'{$t}, {$u}'¦return f'{$s.title()} {$t.upper()}'¦$u = @wexpr($s)
    $u += «' '¦'-'¦'_'» + @wexpr($t)
    return $u¦return '{} {}'.format($s«.title()», $t)»
""",
    weight=0.7,
)

_add(
    "string_steps normalize tidy clean_up prepare",
    "text -> str",
    """
def $f($s):
    $s = @sexpr($s)
    $u = @sexpr($s)
    «if «$u.isalpha()¦len($u) > @int(4,8)¦$u != $s¦' ' in $u»:
        §add $u <- @mark
    »«$u = @sexpr($u)
    »return $u
""",
    weight=1.5,
)

_add(
    "split_at cut_text divide_text halves",
    "word, small -> tuple[str, str]",
    """
def $f($s, $n):
    «$a = $s[:$n]
    $b = $s[$n:]¦$n = len($s) // 2
    $a, $b = $s[:$n], $s[$n:]¦$a = $s[:-$n]
    $b = $s[-$n:]»
    return «$a, $b¦$b, $a¦@wexpr($a), $b»
""",
)

_add(
    "interleave weave zip_text merge_strings",
    "word, word -> str",
    """
def $f($s, $t):
    $u = ''
    «for $a, $b in zip($s, $t):
        §add $u <- «$a + $b¦$b + $a»
    return $u¦for $i in range(max(len($s), len($t))):
        if $i < len($s):
            §add $u <- $s[$i]
        if $i < len($t):
            §add $u <- $t[$i]
    return $u»
""",
)

_add(
    "rotate rotate_text spin shift_right",
    "word, small -> str",
    """
def $f($s, $k):
    «$k = $k % len($s)
    return «$s[$k:] + $s[:$k]¦$s[-$k:] + $s[:-$k]»¦for _ in range($k):
        $s = «$s[1:] + $s[0]¦$s[-1] + $s[:-1]»
    return $s»
""",
)

_add(
    "is_rotation rotated_copy find_rotation",
    "mixed, fragment -> bool",
    """
def $f($s, $t):
    §yes «len($s) == len($t) and »$t in $s + $s
""",
    weight=0.5,
)

_add(
    "replace_all apply_replacements substitute translate",
    "word, str_map -> str",
    """
def $f($s, $d):
    «for $key, $val in $d.items():
        $s = $s.replace($key, $val)
    return $s¦$u = ''
    for $ch in $s:
        §add $u <- $d.get($ch, $ch)
    return $u»
""",
)

_add(
    "parse_time minutes_of to_minutes clock_minutes",
    "time -> int",
    """
def $f($s):
    $a, $b = $s.split(':')
    «$a = int($a)
    $b = int($b)
    return $a * 60 + $b¦return int($a) * 60 + int($b)¦$total = int($a) * 60
    $total += int($b)
    return $total»
""",
)

_add(
    "evaluate calculate eval_expr run_expression",
    "expr -> int",
    """
def $f($s):
    $parts = $s.split()
    $res = int($parts[0])
    for $i in range(1, len($parts), 2):
        $op = $parts[$i]
        $num = int($parts[$i + 1])
        if $op == '+':
            $res += $num
        elif $op == '-':
            $res -= $num
        else:
            $res *= $num
    return $res
""",
    level=0.4,
)

_add(
    "chunk_text split_every groups_of chunks",
    "word, tiny -> list[str]",
    """
def $f($s, $k):
    §map $out = $s[$i:$i + $k] for $i in range(0, len($s), $k)
    return $out
""",
)

_add(
    "vowel_swap leet encode_vowels mask_letters",
    "word -> str",
    """
def $f($s):
    $table = {'a': «'4'¦'e'¦'@'», 'e': «'3'¦'i'», 'o': «'0'¦'a'»}
    «return ''.join($table.get($ch, $ch) for $ch in $s)¦$u = ''
    for $ch in $s:
        if $ch in $table:
            §add $u <- $table[$ch]
        else:
            §add $u <- $ch
    return $u»
""",
)

_add(
    "hash_text checksum text_code letter_sum",
    "word -> int",
    """
def $f($s):
    $total = 0
    §each $ch in $s:
        «§add $total <- ord($ch) - 96¦$total = ($total * @int(2,5) + ord($ch)) % @mod¦§add $total <- ord($ch) % @int(3,10)»
    return $total
""",
    level=0.2,
)
