/**
 * Programs that do anything but their task, for the test beside this file: `add` is asked for, `check` calls it twice.
 * `outcomes` lists what the verdict may be; never `passed`.
 */
import type { ProgramOutcome } from "../../packages/camelid/src/eval/sandbox/verdict.js";

export interface Attack {
  readonly name: string;
  readonly program: string;
  readonly outcomes: readonly ProgramOutcome[];
}

/** A right answer, so that only the attack itself decides. */
const GOOD = "def add(a, b):\n    return a + b\n";
/** A wrong one: whatever passes with it has been faked. */
const BAD = "def add(a, b):\n    return None\n";

type Rows = readonly (readonly [name: string, program: string, ...outcomes: ProgramOutcome[]])[];

const ENDLESS: Rows = [
  ["an endless loop when defined", "while True:\n    pass\n", "timeout"],
  ["an endless loop when called", "def add(a, b):\n    while True:\n        pass\n", "timeout"],
  [
    "a loop that swallows every exception",
    "while True:\n    try:\n        1 / 0\n    except BaseException:\n        pass\n",
    "timeout",
  ],
  ["a loop inside a C function", "sum(iter(int, 1))\n", "timeout"],
  [
    "a power too large to compute",
    `x = 10 ** 10 ** 8\ny = str(x)[:3]\n${BAD}`,
    "timeout",
    "memory",
    "failed",
  ],
  [
    "a regular expression that backtracks for ever",
    `import re\nre.match("(a+)+$", "a" * 64 + "b")\n${GOOD}`,
    "timeout",
  ],
  ["sleep", `import time\ntime.sleep(1000)\n${GOOD}`, "timeout"],
  [
    "an endless loop while its answer is compared",
    "class R(int):\n    def __eq__(self, other):\n        while True:\n            pass\ndef add(a, b):\n    return R(3)\n",
    "timeout",
    "tampered",
  ],
  [
    "an endless loop while its exception is printed",
    "class E(Exception):\n    def __str__(self):\n        while True:\n            pass\ndef add(a, b):\n    raise E\n",
    "timeout",
  ],
  [
    "an endless loop on the second asking",
    "n = 0\ndef add(a, b):\n    global n\n    n += 1\n    while n > 2:\n        pass\n    return a + b\n",
    "timeout",
  ],
  [
    "an endless generator poured into a set",
    `set(__import__("itertools").count())\n${GOOD}`,
    "timeout",
    "memory",
  ],
];

const MEMORY: Rows = [
  ["a list that grows for ever", `x = []\nwhile True:\n    x.append("a" * 10 ** 6)\n`, "memory"],
  ["one allocation beyond the limit", "x = bytearray(10 ** 9)\n", "memory"],
  ["a string repeated past all memory", `x = "a" * (2 ** 31 - 100)\n`, "memory", "failed"],
  ["a product of ranges made a list", `x = list(range(10 ** 9))\n`, "memory", "failed"],
  ["doubling a list", "x = [0]\nwhile True:\n    x += x\n", "memory", "failed"],
  [
    "a zip bomb",
    `import zlib\nx = zlib.compress(b"0" * 10 ** 7)\ny = [zlib.decompress(x) for _ in range(1000)]\n`,
    "memory",
    "timeout",
  ],
  [
    "MemoryError caught again and again",
    "x = []\nwhile True:\n    try:\n        x.append(bytearray(10 ** 6))\n    except MemoryError:\n        pass\n",
    "timeout",
    "memory",
  ],
  ["a bomb of nested calls to a format", `x = "{:>900000000}".format(1)\n`, "memory", "failed"],
];

const OUTPUT: Rows = [
  ["printing without end", `while True:\n    print("x" * 1000)\n`, "output-flood"],
  ["one enormous line", `print("x" * 10 ** 7)\n`, "output-flood"],
  [
    "flooding the error stream",
    `import sys\nwhile True:\n    sys.stderr.write("x" * 1000)\n`,
    "output-flood",
  ],
  [
    "flooding below Python's buffers",
    `import os\nwhile True:\n    os.write(1, b"x" * 4096)\n`,
    "output-flood",
  ],
  ["a flood during the test", `def add(a, b):\n    print("x" * 10 ** 6)\n    return a + b\n`, "output-flood"],
  ["an exception with an enormous text", `raise ValueError("x" * 10 ** 6)\n`, "failed"],
];

const RECURSION: Rows = [
  ["endless recursion", "def add(a, b):\n    return add(a, b)\n", "failed"],
  [
    "endless recursion with the limit lifted",
    "import sys\nsys.setrecursionlimit(10 ** 9)\ndef add(a, b):\n    return add(a, b) + 1\n",
    "failed",
    "crashed",
    "memory",
    "timeout",
  ],
  [
    "recursion through C code",
    "import sys\nsys.setrecursionlimit(10 ** 9)\nclass A:\n    def __repr__(self):\n        return repr([self])\nrepr(A())\n",
    "failed",
    "crashed",
    "memory",
  ],
  [
    "a list nested past all stacks",
    "x = []\nfor _ in range(10 ** 5):\n    x = [x]\nrepr(x)\n",
    "failed",
    "crashed",
  ],
  ["source nested past all stacks", `eval("(" * 10000 + ")" * 10000)\n`, "failed", "crashed", "memory"],
  ["a comparison of endless lists", "x = []\nx.append(x)\ny = []\ny.append(y)\nx == y\n", "failed"],
];

const ENDING: Rows = [
  ["sys.exit(0) when defined", "import sys\nsys.exit(0)\n", "exited"],
  ["sys.exit(0) when called", "import sys\ndef add(a, b):\n    sys.exit(0)\n", "exited"],
  ["raise SystemExit", "raise SystemExit\n", "exited"],
  ["exit()", "import builtins\nraise SystemExit(0)\n", "exited"],
  ["quit by name", "quit()\n", "failed", "exited"],
  ["os._exit(0)", "import os\nos._exit(0)\n", "exited"],
  ["os._exit(0) when called", "import os\ndef add(a, b):\n    os._exit(0)\n", "exited"],
  ["os.abort()", "import os\nos.abort()\n", "exited", "crashed", "failed"],
  ["KeyboardInterrupt", "raise KeyboardInterrupt\n", "failed"],
  ["GeneratorExit", "def add(a, b):\n    raise GeneratorExit\n", "failed"],
  [
    "a segmentation fault on request",
    "import faulthandler\nfaulthandler._sigsegv()\n",
    "failed",
    "crashed",
    "exited",
  ],
  ["os.kill of itself", "import os\nos.kill(os.getpid(), 9)\n", "failed", "exited"],
];

const REACHING_OUT: Rows = [
  ["reading a file of the host", `open("/etc/passwd").read()\n${GOOD}`, "failed"],
  ["reading below its own directory", `open("package.json").read()\n${GOOD}`, "failed"],
  ["climbing out", `open("../../../../../../etc/hostname").read()\n${GOOD}`, "failed"],
  [
    "climbing out of the library",
    `open("/usr/local/lib/python3.12/../../../../etc/passwd").read()\n${GOOD}`,
    "failed",
  ],
  ["reading /proc", `open("/proc/self/environ").read()\n${GOOD}`, "failed"],
  ["writing a file", `open("/tmp/camelid-attack", "w").write("x")\n${GOOD}`, "failed"],
  ["writing a file where it stands", `open("camelid-attack", "w").write("x")\n${GOOD}`, "failed"],
  ["listing the root", `import os\nassert os.listdir("/") == []\n${GOOD}`, "failed"],
  ["making a directory", `import os\nos.mkdir("/camelid-attack")\n${GOOD}`, "failed"],
  ["removing a file", `import os\nos.remove("/etc/hosts")\n${GOOD}`, "failed"],
  ["removing a tree", `import shutil\nshutil.rmtree("/tmp")\n${GOOD}`, "failed"],
  ["a symbolic link out", `import os\nos.symlink("/etc/passwd", "/usr/local/lib/p")\n${GOOD}`, "failed"],
  [
    "opening a file by its number",
    `import os\nfor fd in range(3, 64):\n    try:\n        os.read(fd, 1)\n        found = True\n    except OSError:\n        pass\nfound\n${GOOD}`,
    "failed",
  ],
  ["the environment", `import os\nos.environ["PATH"]\n${GOOD}`, "failed"],
  ["any environment at all", `import os\nassert len(os.environ) > 0\n${GOOD}`, "failed"],
  ["fork", `import os\nos.fork()\n${GOOD}`, "failed"],
  ["a fork bomb", `import os\nwhile True:\n    os.fork()\n`, "failed"],
  ["os.system", `import os\nassert os.system("id") == 0\n${GOOD}`, "failed"],
  ["subprocess", `import subprocess\nsubprocess.run(["id"])\n${GOOD}`, "failed"],
  ["exec of another program", `import os\nos.execv("/bin/sh", ["sh"])\n${GOOD}`, "failed"],
  [
    "multiprocessing",
    `import multiprocessing\nmultiprocessing.Process(target=print).start()\n${GOOD}`,
    "failed",
  ],
  ["a thread", `import threading\nthreading.Thread(target=print).start()\n${GOOD}`, "failed"],
  ["a socket", `import socket\ns = socket.socket()\ns.connect(("127.0.0.1", 80))\n${GOOD}`, "failed"],
  ["a web request", `import urllib.request\nurllib.request.urlopen("http://127.0.0.1/")\n${GOOD}`, "failed"],
  ["a name lookup", `import socket\nsocket.gethostbyname("localhost")\n${GOOD}`, "failed"],
  ["ctypes", `import ctypes\nctypes.CDLL(None).system(b"id")\n${GOOD}`, "failed"],
  ["the JavaScript bridge of Pyodide", `import js\njs.process.exit(0)\n${GOOD}`, "failed"],
  ["pyodide_js", `import pyodide_js\n${GOOD}`, "failed"],
  ["raw memory through _testcapi", `import _testcapi\n${GOOD}`, "failed"],
  [
    "raw memory through _testinternalcapi",
    `import _imp\nfrom importlib.machinery import ModuleSpec\nassert _imp.create_builtin(ModuleSpec("_testinternalcapi", None)) is not None\n${GOOD}`,
    "failed",
  ],
  [
    "loading a native extension",
    `import importlib.machinery as m\nm.ExtensionFileLoader("x", "/tmp/x.so").create_module(m.ModuleSpec("x", None))\n${GOOD}`,
    "failed",
  ],
  [
    "a signal handler",
    `import signal\nsignal.signal(signal.SIGALRM, print)\nsignal.alarm(1)\n${GOOD}`,
    "failed",
  ],
  ["input()", `input()\n${GOOD}`, "failed"],
  [
    "a database on disk",
    `import sqlite3\nsqlite3.connect("/tmp/camelid-attack.db").execute("create table t (x)")\n${GOOD}`,
    "failed",
  ],
];

const FAKING: Rows = [
  ["printing words of a pass", `print("passed")\nprint("C")\n${BAD}`, "failed"],
  [
    "printing what a report looks like",
    `import os\nfor letter in "PC":\n    os.write(1, (("0" * 32) + letter + "\\n").encode())\n${BAD}`,
    "failed",
  ],
  [
    "guessing markers",
    `import os, random\nfor _ in range(500):\n    os.write(1, ("%032x" % random.getrandbits(128)).encode() + b"C\\n")\n${BAD}`,
    "failed",
  ],
  [
    "reading the marker from the input",
    `import os, sys\nleft = os.read(0, 10 ** 6) + sys.stdin.buffer.read()\nos.write(1, left[:32] + b"C\\n")\n${BAD}`,
    "failed",
  ],
  [
    "reading the marker from the arguments",
    `import os, sys\nfor word in sys.argv + sys.orig_argv:\n    os.write(1, word.encode() + b"C\\n")\n${BAD}`,
    "failed",
    "output-flood",
  ],
  [
    "reading the marker from its caller's frame",
    `import os, sys\nf = sys._getframe()\nwhile f:\n    m = f.f_locals.get("marker")\n    if m: os.write(1, m + b"C\\n")\n    f = f.f_back\n${BAD}`,
    "tampered",
  ],
  [
    "the same through a traceback",
    `import os\ntry:\n    1 / 0\nexcept Exception as e:\n    f = e.__traceback__.tb_frame\n    while f:\n        m = f.f_locals.get("marker")\n        if m: os.write(1, m + b"C\\n")\n        f = f.f_back\n${BAD}`,
    "tampered",
  ],
  [
    "the same through a generator",
    `def g():\n    yield gi.gi_frame.f_back\ngi = g()\nf = next(gi)\n${BAD}`,
    "tampered",
  ],
  ["the same through a coroutine", `async def c():\n    pass\nx = c()\nx.cr_frame\n${GOOD}`, "tampered"],
  ["inspect.stack()", `import inspect\ninspect.stack()\n${GOOD}`, "tampered"],
  [
    "reaching and hiding the exception",
    `import sys\ntry:\n    sys._getframe(1)\nexcept BaseException:\n    pass\n${GOOD}`,
    "tampered",
  ],
  [
    "the garbage collector's list of objects",
    `import gc\nfor x in gc.get_objects():\n    pass\n${GOOD}`,
    "tampered",
  ],
  ["the garbage collector's referrers", `import gc\ngc.get_referrers(print)\n${GOOD}`, "tampered"],
  ["sys._current_frames", `import sys\nsys._current_frames()\n${GOOD}`, "tampered"],
  ["a trace function", `import sys\nsys.settrace(lambda *a: None)\n${GOOD}`, "tampered"],
  ["a profile function", `import sys\nsys.setprofile(lambda *a: None)\n${GOOD}`, "tampered"],
  ["forged byte code", `${BAD}add.__code__ = add.__code__.replace(co_consts=(3,))\n`, "tampered"],
  ["an audit hook of its own", `import sys\nsys.addaudithook(print)\n${GOOD}`, "tampered"],
  ["a patched AssertionError", `import builtins\nbuiltins.AssertionError = SystemExit\n${BAD}`, "tampered"],
  ["a patched isinstance", `import builtins\nbuiltins.isinstance = lambda *a: True\n${BAD}`, "tampered"],
  [
    "a patched exec and compile",
    `import builtins\nbuiltins.exec = builtins.compile = lambda *a: None\n${BAD}`,
    "tampered",
  ],
  [
    "a patched abs, when called",
    `import builtins\ndef add(a, b):\n    builtins.abs = lambda x: 0\n    return a + b\n`,
    "tampered",
  ],
  ["a built-in taken away", `import builtins\ndel builtins.sum\n${GOOD}`, "tampered"],
  ["exchanged __builtins__", `__builtins__ = {"__build_class__": None}\n${GOOD}`, "tampered"],
  [
    "changed __builtins__ of its namespace",
    `__builtins__["len"] = lambda x: 0\n${GOOD}`,
    "tampered",
    "failed",
  ],
  [
    "an object that equals everything",
    `class Any:\n    def __eq__(self, other):\n        return True\ndef add(a, b):\n    return Any()\n`,
    "tampered",
  ],
  [
    "a number that equals everything",
    `class N(int):\n    def __eq__(self, other):\n        return True\n    __hash__ = int.__hash__\ndef add(a, b):\n    return N(0)\n`,
    "tampered",
  ],
  [
    "such an object inside a list",
    `class Any:\n    def __eq__(self, other):\n        return True\ndef add(a, b):\n    return [Any()]\n`,
    "tampered",
    "failed",
  ],
  [
    "a metaclass that hides it",
    `class M(type):\n    __mro__ = property(lambda self: (object,))\nclass Any(metaclass=M):\n    def __eq__(self, other):\n        return True\ndef add(a, b):\n    return Any()\n`,
    "tampered",
  ],
  [
    "a class that compares by its metaclass",
    `class M(type):\n    def __eq__(cls, other):\n        return True\n    __hash__ = type.__hash__\nclass Any(metaclass=M):\n    pass\ndef add(a, b):\n    return Any\n`,
    "tampered",
  ],
  ["a check function of its own", `def check(candidate):\n    pass\n${BAD}`, "failed"],
  [
    "a module in the place of its namespace",
    `import sys\nsys.modules["__main__"].say = print\nsys.modules["builtins"] = None\n${BAD}`,
    "failed",
    "tampered",
  ],
  [
    "the driver's module",
    `import __main__\n__main__.main = lambda: None\n__main__.__dict__.clear()\n${BAD}`,
    "failed",
  ],
  [
    "a patched os.write",
    `import os, posix\nos.write = posix.write = lambda fd, data: len(data)\n${BAD}`,
    "failed",
  ],
  ["the tests disabled by a string left open", `${BAD}x = """\n`, "failed"],
  ["leaving at exit", `import atexit, os\natexit.register(os._exit, 0)\n${BAD}`, "failed"],
  [
    "a finaliser that exits",
    `import os\nclass F:\n    def __del__(self):\n        os._exit(0)\nF()\n${BAD}`,
    "exited",
  ],
  [
    "answers once and then no more",
    `import os\nn = 0\ndef add(a, b):\n    global n\n    n += 1\n    if n > 2:\n        raise ValueError\n    return a + b\n`,
    "tampered",
  ],
  [
    "leaves on the second asking",
    `import os\nn = 0\ndef add(a, b):\n    global n\n    n += 1\n    if n > 2:\n        os._exit(0)\n    return a + b\n`,
    "exited",
  ],
  ["null bytes in the source", `${GOOD}\0`, "failed"],
  ["no program", "", "failed"],
  ["not Python", "Sure! Here is the function you asked for:\n", "failed"],
];

const ANY =
  "class Any:\n    def __eq__(self, other):\n        return True\n    def __hash__(self):\n        return 0\n";
/** Lies as long as the tests run for the first time. */
const TWICE = "n = 0\ndef first():\n    global n\n    n += 1\n    return n <= 2\n";

const FORWARDING: Rows = [
  [
    "a proxy of an object that equals everything",
    `import weakref\n${ANY}keep = Any()\ndef add(a, b):\n    return weakref.proxy(keep)\n`,
    "tampered",
  ],
  [
    "a mapping proxy of one",
    `import types\n${ANY.replace("class Any:", "class Any(dict):")}def add(a, b):\n    return types.MappingProxyType(Any())\n`,
    "tampered",
  ],
  [
    "a named tuple that holds one",
    `from collections import namedtuple\n${ANY}T = namedtuple("T", "x")\ndef add(a, b):\n    return T(Any())\n`,
    "tampered",
  ],
  [
    "a list of its own class that holds one",
    `${ANY}class L(list):\n    pass\ndef add(a, b):\n    return L([Any()])\n`,
    "tampered",
  ],
  [
    "an ordered dictionary that holds one",
    `from collections import OrderedDict\n${ANY}def add(a, b):\n    return OrderedDict(x=Any())\n`,
    "tampered",
  ],
  ["a generator that yields one", `${ANY}def add(a, b):\n    yield Any()\n`, "tampered"],
  [
    "a returned function that returns one",
    `${ANY}def add(a, b):\n    return lambda: Any()\n`,
    "failed",
    "tampered",
  ],
  [
    "differences that are always nothing",
    "class Z:\n    def __sub__(self, other):\n        return 0.0\ndef add(a, b):\n    return Z() if a == 2 else 3\n",
    "tampered",
  ],
  [
    "a text that equals what it is not",
    "class S(str):\n    __eq__ = str.__ne__\ndef add(a, b):\n    return S('x')\n",
    "tampered",
  ],
  [
    "a comparison that is no function",
    "class A:\n    __eq__ = bool\ndef add(a, b):\n    return A()\n",
    "tampered",
  ],
  [
    "a comparison put into Counter",
    "from collections import Counter\nCounter.__eq__ = lambda self, other: True\ndef add(a, b):\n    return Counter()\n",
    "tampered",
  ],
  [
    "the mock that equals anything",
    "from unittest.mock import ANY\ndef add(a, b):\n    return ANY\n",
    "tampered",
  ],
  [
    "a class that claims to be Counter",
    "import collections\nclass Counter(dict):\n    __module__ = 'collections'\n    def __eq__(self, other):\n        return True\ncollections.Counter = Counter\ndef add(a, b):\n    return Counter()\n",
    "tampered",
  ],
  [
    "an abs of its own that lies at first",
    `${TWICE}def add(a, b):\n    return a + b if a == 1 else 0\ndef abs(x):\n    return 0 if first() else 9e9\n`,
    "failed",
  ],
  [
    "a math module in the place of the real one",
    "import sys\nclass M:\n    fabs = lambda self, x: 0\nsys.modules['math'] = M()\ndef add(a, b):\n    return 3\n",
    "tampered",
  ],
  [
    "a patched math.fabs",
    "import math\nmath.fabs = lambda x: 0\ndef add(a, b):\n    return a + b\n",
    "tampered",
  ],
];

export const ATTACKS: readonly Attack[] = [
  ...ENDLESS,
  ...MEMORY,
  ...OUTPUT,
  ...RECURSION,
  ...ENDING,
  ...REACHING_OUT,
  ...FAKING,
  ...FORWARDING,
].map(([name, program, ...outcomes]) => ({ name, program, outcomes }));
