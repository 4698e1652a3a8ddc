"""What is said about one step: a wording for each kind of statement, always about what the frames show it did.

Where the program's text does not tell the statement, its line is quoted and the variables that changed are given.
"""

import ast

from opencwm.trace.layout import Statement, body_shows, is_one_line
from opencwm.trace.narrate.flow import Flow
from opencwm.trace.narrate.parts import nothing
from opencwm.trace.narrate.prose import code, listed
from opencwm.trace.narrate.steps import Step


class Actions(Flow):
    def tell(self, step: Step, *, is_back: bool = False) -> None:
        """A step after what it called; `is_back`: a call was told from inside just before."""
        statement = step.statement
        if self.plan.is_inline(step.start.level):
            if step.exception is not None and not self.plan.delivers(step):
                self.raised(step)
        elif step.exception is not None and not self.plan.delivers(step):
            self.raised(step)
        elif step.is_resumed:
            self._resumed(step)
        elif statement is None or is_one_line(statement):
            self._plain(step, is_back=is_back)
        elif isinstance(statement, ast.Return):
            if step.left is None and step.next is not None:
                self.prose.say(lambda: f"before {self.name_of(step.start.level)} can return, more has to run.")
        elif not isinstance(statement, ast.Raise) and not self.is_pause(step.left):
            self._statement(step, statement, is_back=is_back)
        self.leave(step)

    def _statement(self, step: Step, statement: Statement, *, is_back: bool) -> None:
        say = self.prose.say
        match statement:
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                self._assigned(step, statement, is_back=is_back)
            case ast.If():
                self._branch(step, statement)
            case ast.ExceptHandler():
                self._handler(step, statement)
            case ast.match_case():
                self._case(step, statement)
            case ast.With() | ast.AsyncWith():
                self._with(step, statement)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                say(lambda: f"the function {code(statement.name)} is defined.")
            case ast.ClassDef():
                say(lambda: f"the class {code(statement.name)} is defined.")
            case ast.Import() | ast.ImportFrom():
                verb = "is" if len(statement.names) == 1 else "are"
                say(lambda: f"{listed([code(each.name) for each in statement.names])} {verb} imported.")
            case ast.Break():
                say(lambda: "`break` leaves the loop.", lambda: "the loop is left by `break`.")
            case ast.Continue():
                say(
                    lambda: "`continue` skips the rest of this iteration.",
                    lambda: "`continue` ends the iteration here.",
                )
            case ast.Assert() if step.next is not None or step.left is not None:
                read, test = self.read(step, statement.test), self.condition(statement.test)
                say(lambda: f"{read('with ', ', ')}the assertion {test} holds.".replace("assertion the ", ""))
            case ast.Match():
                read, subject = self.read(step, statement.subject), self.condition(statement.subject)
                say(lambda: f"{subject} is compared with the cases{read('; ', '', 'is')}.")
            case ast.Expr(value=ast.Constant()) | ast.Try() | ast.TryStar() | ast.Pass() | ast.Assert():
                pass
            case _:
                self._plain(step, is_back=is_back)

    # ---- assignments

    def _assigned(self, step: Step, statement: ast.Assign | ast.AugAssign | ast.AnnAssign, *, is_back: bool) -> None:
        if statement.value is None:
            return
        targets: list[ast.expr] = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        bound = self.bound(step, targets)
        if len(targets) > 1 or not isinstance(targets[0], ast.Name) or not bound:
            self._plain(step, is_back=is_back)
        elif isinstance(statement, ast.AugAssign):
            self._updated(step, statement, bound[0])
            self.others(step, bound)
        else:
            self._set(step, statement, statement.value, bound[0], is_back=is_back)
            self.others(step, bound)

    def _updated(self, step: Step, statement: ast.AugAssign, name: str) -> None:
        say, after = self.prose.say, step.after
        assert after is not None, "a bound name is bound in a state"
        value, start = self.prose.value, step.start
        line, read = self.line(step), self.read(step, statement)
        sum_ = self.arithmetic(step, statement, name)
        if step.before.get(name) in (None, step.state_after[name]):
            say(lambda: f"{read('with ', ', ')}{line} leaves {code(name)} at {value(after, name)}.")
        elif sum_ is not None:
            long, short = sum_
            say(
                lambda: f"{long()} gives {value(after, name)}, the new {code(name)}.",
                lambda: f"{line} takes {code(name)} from {value(start, name)} to {value(after, name)}.",
                lambda: f"{line} makes {code(name)} equal {short()} = {value(after, name)}.",
            )
        else:
            say(
                lambda: f"{line} changes {code(name)} from {value(start, name)} to {value(after, name)}.",
                lambda: f"{read('with ', ', ')}{line} makes {code(name)} equal {value(after, name)}.",
            )

    def _set(self, step: Step, statement: ast.stmt, expression: ast.expr, name: str, *, is_back: bool) -> None:
        say, after = self.prose.say, step.after
        assert after is not None, "a bound name is bound in a state"
        value, source, line = self.prose.value, self.quoted(expression), self.quoted(statement)
        text = step.state_after[name]
        if source is None or isinstance(expression, ast.Constant) or source in (text, text.replace("'", '"')):
            verb = "starts as" if name not in step.before else "is set to"
            say(
                lambda: f"{code(name)} {verb} {value(after, name)}.",
                lambda: f"{code(name)} becomes {value(after, name)}.",
                lambda: f"{code(name)} gets the value {value(after, name)}.",
            )
            return
        if is_back:
            say(
                lambda: f"with this, {code(name)} becomes {value(after, name)}.",
                lambda: f"so {code(name)} is now {value(after, name)}.",
                lambda: f"the result is stored: {code(name)} is {value(after, name)}.",
            )
            return
        read = self.read(step, expression)
        if isinstance(expression, ast.Name):
            say(
                lambda: f"{code(name)} becomes {code(source)}, that is {value(after, name)}.",
                lambda: f"{code(line or source)} sets {code(name)} to {value(after, name)}.",
            )
            return
        say(
            lambda: f"{read('with ', ', ')}{code(source)} is {value(after, name)}, which is stored in {code(name)}.",
            lambda: f"{code(name)} becomes {code(source)}, that is {value(after, name)}{read(', since ', '', 'is')}.",
            lambda: f"{read('with ', ', ')}{code(name)} is set to {code(source)}, which is {value(after, name)}.",
            lambda: f"{read('with ', ', ')}{code(line or source)} sets {code(name)} to {value(after, name)}.",
        )

    # ---- branches

    def _branch(self, step: Step, statement: ast.If) -> None:
        say, test, read = self.prose.say, self.condition(statement.test), self.read(step, statement.test)
        truth = self._truth(step, statement)
        is_true = "is" if _is_yes_or_no(statement.test) else "counts as"
        is_bare = isinstance(statement.test, ast.Name) and self.is_shown(step.start, statement.test.id)
        then = "this branch is taken" if truth else self._otherwise(step, statement)
        if truth is None:
            say(lambda: f"{read('with ', ', ')}{test} is looked at.")
        elif is_bare and isinstance(statement.test, ast.Name):
            name, what = statement.test.id, "true" if truth else "false"
            say(
                lambda: f"{code(name)} is {self.prose.value(step.start, name)}, which counts as {what}, so {then}.",
                lambda: f"as {code(name)} = {self.prose.value(step.start, name)} counts as {what}, {then}.",
            )
        elif truth:
            say(
                lambda: f"{read('since ', ', ', 'is')}{test} {is_true} true.",
                lambda: f"{test} {is_true} true{read(', as ', '', 'is')}.",
                lambda: f"{read('with ', ', ')}{test} {is_true} true, so {then}.",
            )
        else:
            say(
                lambda: f"{read('since ', ', ', 'is')}{test} {is_true} false, and {then}.",
                lambda: f"{test} {is_true} false{read(', as ', ',', 'is')} and {then}.",
                lambda: f"{read('with ', ', ')}{test} {is_true} false: {then}.",
            )
        self.others(step, [])

    def _otherwise(self, step: Step, statement: ast.If) -> str:
        """What happens instead of the body."""
        next, orelse = step.next, statement.orelse
        if len(orelse) == 1 and self.plan.layout.is_elif(orelse[0]):
            return "the next condition is tried"
        is_else = next is not None and any(
            each is next.statement or self.plan.layout.holds(each, next.statement) for each in orelse
        )
        return "the `else` branch runs" if is_else else "the branch is skipped"

    def _truth(self, step: Step, statement: ast.If) -> bool | None:
        """What the condition was, by what ran next; None where that does not tell."""
        if step.next is not None and self.plan.layout.body_holds(statement, step.next.statement):
            return True
        if not body_shows(statement, is_precise=self.plan.is_precise) or (
            step.next is not None and step.next.statement is None
        ):
            return None
        return False if step.next is not None or self.plan.is_over(step) else None

    def _handler(self, step: Step, statement: ast.ExceptHandler) -> None:
        say, name = self.prose.say, statement.name
        kind = None if statement.type is None else self.quoted(statement.type)
        shown = "`except`" if kind is None else code(f"except {kind}")
        if step.next is not None and self.plan.layout.body_holds(statement, step.next.statement):
            if name is not None and step.after is not None and name in step.state_after:
                after = step.after
                say(
                    lambda: f"{shown} catches it, and {code(name)} is {self.prose.value(after, name)}.",
                    lambda: f"it is caught by {shown} as {code(name)} = {self.prose.value(after, name)}.",
                )
            else:
                say(lambda: f"{shown} catches it.", lambda: f"it is caught by {shown}.")
        elif step.next is not None and kind is not None and body_shows(statement, is_precise=self.plan.is_precise):
            say(lambda: f"{shown} does not match.")

    def _case(self, step: Step, statement: ast.match_case) -> None:
        pattern = code(f"case {self.plan.layout.text_of(statement.pattern)}")
        if step.next is not None and self.plan.layout.body_holds(statement, step.next.statement):
            self.prose.say(lambda: f"{pattern} matches.", lambda: f"the case that matches is {pattern}.")
            self.others(step, [])
        elif step.next is not None and body_shows(statement, is_precise=self.plan.is_precise):
            self.prose.say(lambda: f"{pattern} does not match.")

    def _with(self, step: Step, statement: ast.With | ast.AsyncWith) -> None:
        what = self.quoted(statement.items[0].context_expr)
        of = "" if what is None else f" of {code(what)}"
        is_entry = step.next is not None and self.plan.layout.body_holds(statement, step.next.statement)
        self.prose.say(lambda: f"the `with` block{of} is {'entered' if is_entry else 'left'}.")
        self.others(step, [])

    # ---- anything

    def _resumed(self, step: Step) -> None:
        if step.changed:
            self.prose.say(lambda: f"now {self.are(step, step.changed)}.")

    def _plain(self, step: Step, *, is_back: bool) -> None:
        """Any statement, by its effect on the variables."""
        say, changed = self.prose.say, step.changed
        quoted = self.quoted(step.statement)
        shown = self.line(step) if quoted is None else code(quoted)
        read = self.read(step, step.statement) if quoted is not None else nothing
        if step.removed and isinstance(step.statement, ast.Delete):
            say(lambda: f"{shown} removes {listed([code(name) for name in step.removed])}.")
            self.others(step, [])
        elif changed and is_back:
            say(
                lambda: f"after the call, {self.are(step, changed)}.",
                lambda: f"when {shown} is done, {self.are(step, changed)}.",
            )
        elif changed:
            say(
                lambda: f"{read('with ', ', ')}{shown} makes {self.become(step, changed)}.",
                lambda: f"after {shown}, {self.are(step, changed)}.",
                lambda: f"{shown} runs{read(' with ', '')}, and then {self.are(step, changed)}.",
            )
        elif is_back:
            return
        elif step.after is not None:
            say(
                lambda: f"{shown} runs{read(' with ', '')} and changes no variable.",
                lambda: f"{read('with ', ', ')}{shown} runs; the variables stay as they are.",
            )
        else:
            say(lambda: f"{shown} runs{read(' with ', '')}.")


def _is_yes_or_no(test: ast.expr) -> bool:
    """Whether a condition is written as one: a comparison, a negation, a call; other values count as one."""
    if isinstance(test, ast.BoolOp):
        return all(map(_is_yes_or_no, test.values))
    return isinstance(test, (ast.Compare, ast.Call)) or (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))
