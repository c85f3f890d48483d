/**
 * The Python program that runs a model's program and its tests, and says how it went. It shares the interpreter with what
 * it judges, so it trusts nothing that the program could have touched:
 *
 * - The verdict is written behind a marker of 128 random bits, which reached the driver over an input that is used up
 *   before the program starts. Ending early, printing, or printing what a pass looks like is therefore no pass.
 * - The marker lives in a local variable of a running function. What could read it from there (frames, the garbage
 *   collector, trace functions, forged code objects) raises an audit event, and audit hooks cannot be removed.
 * - Built-ins and the modules that tests import must be the same objects before and after; helpers that the prompt defines are
 *   the prompt's own; everything the driver uses is bound before the program starts.
 * - Answers must not be able to decide what they equal: no classes with comparisons, arithmetic or iteration of their own, no
 *   proxies, nor any of these inside a container, an iterator or behind a returned function.
 * - A pass is believed only when the same tests then refuse altered answers.
 *
 * Lines of the protocol: marker, one letter, text, line feed (letters: REPORTS in wasi-host.ts).
 */
export const DRIVER = String.raw`
def main():
    import builtins, posix, sys, types
    Anything, OutOfMemory, Leave = BaseException, MemoryError, SystemExit
    Denied, kind_of, run, compiled, size, words = RuntimeError, type, exec, compile, len, str
    is_callable, copy, listed, iterated = callable, dict, list, iter
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
    program, test, entry, trusted, imports = parts
    del data, parts, piece

    from collections import Counter

    def proxies():
        from _weakref import CallableProxyType, ProxyType
        return CallableProxyType, ProxyType

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

    # What tests may rely on: built-ins and the modules that they or the prompt import, as they were before the program.
    own = builtins.__dict__
    kept = [("built-in ", own, copy(own))]
    genuine = {"sys": sys}
    for module in imports.split():
        try:
            genuine[module] = __import__(module)
            kept.append((module + ".", genuine[module].__dict__, copy(genuine[module].__dict__)))
        except Anything:
            pass
    loaded = sys.modules

    def patched():
        for title, now, before in kept:
            for name in before:
                if name != "_" and (name not in now or now[name] is not before[name]):
                    return title + name
        for name in genuine:
            if loaded.get(name) is not genuine[name]:
                return "module " + name
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

    plain = frozen([integer, real, pair, text_kind, raw, truth, kind_of(None), range, bytearray])
    # These compare as what they stand for does.
    forwarders = frozen([kind_of(types.__dict__["MappingProxyType"]({})), *proxies()])
    made_in_python = 1 << 9  # a heap type ...
    immutable = 1 << 8  # ... that is not one of C's own
    flags_of = type.__dict__["__flags__"].__get__
    harmless = frozen([
        "__init__", "__new__", "__repr__", "__str__", "__doc__", "__module__", "__qualname__", "__dict__", "__weakref__",
        "__slots__", "__match_args__", "__getnewargs__", "__annotations__", "__orig_bases__", "__static_attributes__",
        "__firstlineno__", "__dataclass_fields__", "__dataclass_params__", "__replace__", "__parameters__",
    ])
    counter, counter_members = Counter, copy(members_of(Counter))

    def strange(kind):
        """Whether instances may compare, calculate or iterate by code of the program's own."""
        if kind in forwarders:
            return True
        for base in order_of(kind):
            if flags_of(base) & (made_in_python | immutable) != made_in_python:
                continue
            members = members_of(base)
            if base is counter:
                if size(members) != size(counter_members):
                    return True
                for name in counter_members:
                    if members.get(name) is not counter_members[name]:
                        return True
                continue
            for name in members:
                if name[:2] == "__" and name[-2:] == "__" and name not in harmless:
                    return True
        return False

    def foreign(value, depth=0):
        kind = kind_of(value)
        if kind in plain or depth > 20:
            return False
        if strange(kind):
            return True
        order = order_of(kind)
        if copy in order:
            for part in copy.values(value):
                if foreign(part, depth + 1):
                    return True
        for base in order:
            if "__iter__" in members_of(base) and "__next__" not in members_of(kind):
                for part in value:
                    if foreign(part, depth + 1):
                        return True
                break
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
            return [altered(part) for part in value] + [Altered()]
        if kind is row:
            return row([altered(part) for part in value]) + (Altered(),)
        if kind is group or kind is frozen:
            return kind([altered(part) for part in value]) | {Altered()}
        if kind is copy:
            return {**{name: altered(value[name]) for name in value}, Altered(): Altered()}
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
                if kind_of(value) is method_kind:
                    return door(value)
                steps = "__next__" in members_of(kind_of(value)) and not strange(kind_of(value))
                if steps:
                    value = listed(value)
                if foreign(value):
                    reached.append("the comparison of its answers")
                if change:
                    value = altered(value)
                return iterated(value) if steps else value
            return call

        under_test = subjects(space, code)
        for name in under_test:
            trial[name] = door(space[name])
        # Helpers of the prompt are the prompt's; a name that hides a built-in does not hide it from the tests.
        for name in given:
            if name not in under_test and name in trial and name[:2] != "__":
                trial[name] = given[name]
        for name in own:
            if name in trial and name not in under_test and name[:2] != "__":
                del trial[name]
        run(code, trial)

    def suspicion(space):
        name = patched()
        if name is not None:
            return "changed " + name
        if space.get("__builtins__") is not own:
            return "exchanged __builtins__"
        if reached:
            return "reached for " + reached[0]
        return None

    # From here on the program can run. Nothing above is looked up by a name that it could rebind.
    sys.addaudithook(watch)
    space, given = {}, {}
    try:
        if trusted:
            run(compiled(trusted, "<prompt>", "exec", 0, True), given)
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
