/**
 * The Python program that runs a model's program and its tests, and says how it went. It shares the interpreter with what
 * it judges, so it trusts nothing that the program could have touched:
 *
 * - The verdict is written behind a marker of 128 random bits, which reached the driver over an input that is used up
 *   before the program starts. Ending early, printing, or printing what a pass looks like is therefore no pass.
 * - The marker lives in a local variable of a running function. What could read it from there (frames, the garbage
 *   collector, trace functions, forged code objects) raises an audit event, and audit hooks cannot be removed.
 * - Built-ins must be the same objects before and after; everything the driver uses is bound before the program starts.
 * - A pass is believed only when the same tests then refuse altered answers: patched comparisons, `math.fabs = lambda x: 0`,
 *   objects that equal everything do not survive that.
 *
 * Lines of the protocol: marker, one letter, text, line feed (letters: REPORTS in wasi-host.ts).
 */
export const DRIVER = String.raw`
def main():
    import builtins, posix, sys, types
    Anything, OutOfMemory, Leave = BaseException, MemoryError, SystemExit
    Denied, kind_of, run, compiled, size, words = RuntimeError, type, exec, compile, len, str
    is_callable, copy, listed = callable, dict, list
    integer, real, pair, text_kind, raw, group, frozen = int, float, complex, str, bytes, set, frozenset
    truth, row = bool, tuple
    method_kind = types.FunctionType
    write, read = posix.write, posix.read
    order_of, members_of = type.__dict__["__mro__"].__get__, type.__dict__["__dict__"].__get__
    named = type.__dict__["__name__"].__get__

    data = b""
    while True:
        piece = read(0, 65536)
        if not piece:
            break
        data += piece
    marker, sizes, data = data.split(b"\n", 2)
    parts = []
    for length in sizes.split():
        parts.append(data[: int(length)].decode())
        data = data[int(length) :]
    program, test, entry = parts
    del data, parts, piece

    reached = []
    events = frozen([
        "sys._getframe", "sys._current_frames", "sys._current_exceptions", "sys.settrace", "sys.setprofile",
        "sys.addaudithook", "gc.get_objects", "gc.get_referrers", "gc.get_referents", "code.__new__",
        "function.__new__", "sys.monitoring.register_callback", "cpython.run_stdin",
    ])
    inner = frozen(["tb_frame", "gi_frame", "cr_frame", "ag_frame", "f_trace", "f_locals"])
    changed = frozen(["__code__"])

    def watch(event, arguments):
        if (
            event in events
            or (event == "object.__getattr__" and arguments[1] in inner)
            or (event == "object.__setattr__" and arguments[1] in changed)
        ):
            reached.append(event if event in events else arguments[1])
            raise Denied(reached[-1] + " is not available here")

    own = builtins.__dict__
    before = copy(own)

    def patched():
        for name in before:
            if name != "_" and (name not in own or own[name] is not before[name]):
                return name
        return None

    def say(letter, message=""):
        write(1, marker + letter + text_kind(message)[:2000].encode("utf-8", "backslashreplace") + b"\n")

    def explained(error):
        name = named(kind_of(error))
        try:
            message = words(error)
        except Anything:
            message = ""
        return name + (": " + message if message else "")

    def ended(error):
        if reached:
            say(b"T", "reached for " + reached[0])
        elif isinstance_of(error, OutOfMemory):
            say(b"M", explained(error))
        elif isinstance_of(error, Leave):
            say(b"X", explained(error))
        else:
            say(b"F", explained(error))

    def isinstance_of(error, kind):
        return kind in order_of(kind_of(error))

    plain = frozen([integer, real, pair, text_kind, raw, truth, kind_of(None)])
    known = frozen([("collections", "Counter"), ("fractions", "Fraction")])

    def foreign(value, depth=0):
        """Whether a value decides by code of the program's own what it is equal to."""
        kind = kind_of(value)
        if kind in plain or depth > 20:
            return False
        if kind is listed or kind is row or kind is group or kind is frozen:
            for part in value:
                if foreign(part, depth + 1):
                    return True
            return False
        if kind is copy:
            for part in value:
                if foreign(part, depth + 1) or foreign(value[part], depth + 1):
                    return True
            return False
        for base in order_of(kind):
            members = members_of(base)
            for name in ("__eq__", "__ne__", "__lt__", "__gt__", "__le__", "__ge__"):
                if kind_of(members.get(name)) is method_kind:
                    home = members.get("__module__"), named(base)
                    path = members[name].__code__.co_filename
                    if not (home in known and path.startswith("/wlr/build-staging/python/")):
                        return True
        return False

    raised = []

    class Altered:
        pass

    def altered(value):
        """Something else of the same type, as far as that goes."""
        kind = kind_of(value)
        if kind is truth:
            return not value
        if kind is integer or kind is pair:
            return value + 97531
        if kind is real:
            return value * 3 + 97531.25
        if kind is text_kind:
            return value + "\u2042altered"
        if kind is raw:
            return value + b"\0altered"
        if kind is listed:
            return value + [Altered()]
        if kind is row:
            return value + (Altered(),)
        if kind is group or kind is frozen:
            return value | {Altered()}
        if kind is copy:
            return {**value, Altered(): Altered()}
        return Altered()

    def subjects(space, code):
        if entry:
            return [entry] if entry in space else []
        return [name for name in code.co_names if name in space and is_callable(space[name])
                and kind_of(space[name]) is not kind_of]

    def tried(space, code, change):
        """Runs the tests in a copy of the namespace, with the functions under test behind a door of our own."""
        trial = copy(space)

        def door(function):
            def call(*arguments, **named_arguments):
                try:
                    value = function(*arguments, **named_arguments)
                except Anything:
                    raised.append(change)
                    raise
                if foreign(value):
                    reached.append("equality of its answers")
                return altered(value) if change else value
            return call

        for name in subjects(space, code):
            trial[name] = door(space[name])
        run(code, trial)

    def suspicion(space):
        name = patched()
        if name is not None:
            return "changed the built-in " + name
        if space.get("__builtins__") is not own:
            return "exchanged __builtins__"
        if reached:
            return "reached for " + reached[0]
        return None

    # From here on the program can run. Nothing above is looked up by a name that it could rebind.
    sys.addaudithook(watch)
    space = {}
    try:
        compiled(program + "\n" + test, "<program>", "exec", 0, True)
        tests = compiled(test, "<test>", "exec", 0, True)
        run(compiled(program, "<program>", "exec", 0, True), space)
        reason = suspicion(space)
        if reason is None:
            tried(space, tests, False)
            reason = suspicion(space)
    except Anything as error:
        return ended(error)
    if reason is not None:
        return say(b"T", reason)
    say(b"P")
    try:
        tried(space, tests, True)
    except Anything:
        if entry and True in raised and False not in raised:
            return say(b"T", "answers once and then no more")
        return say(b"C")
    say(b"T", "its tests also accept altered answers")

main()
`;
