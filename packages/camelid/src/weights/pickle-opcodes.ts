/**
 * The opcodes of Python's pickle (Lib/pickletools.py) that writing a dictionary of tensors takes, protocols 2 to 5.
 * Left out on purpose: whatever imports or builds by other ways (INST, OBJ, NEWOBJ, EXT1...), whatever multiplies
 * (DUP) or throws away (POP), numbers of unbounded length (LONG4), and the text forms of protocol 0.
 */
export const ALLOWED_OPCODES = {
  PROTO: 0x80,
  FRAME: 0x95,
  STOP: 0x2e,
  MARK: 0x28,
  GLOBAL: 0x63,
  STACK_GLOBAL: 0x93,
  REDUCE: 0x52,
  BUILD: 0x62,
  BINPERSID: 0x51,
  BINPUT: 0x71,
  LONG_BINPUT: 0x72,
  MEMOIZE: 0x94,
  BINGET: 0x68,
  LONG_BINGET: 0x6a,
  NONE: 0x4e,
  NEWTRUE: 0x88,
  NEWFALSE: 0x89,
  BININT: 0x4a,
  BININT1: 0x4b,
  BININT2: 0x4d,
  LONG1: 0x8a,
  BINFLOAT: 0x47,
  BINUNICODE: 0x58,
  SHORT_BINUNICODE: 0x8c,
  BINSTRING: 0x54,
  SHORT_BINSTRING: 0x55,
  BINBYTES: 0x42,
  SHORT_BINBYTES: 0x43,
  EMPTY_TUPLE: 0x29,
  TUPLE: 0x74,
  TUPLE1: 0x85,
  TUPLE2: 0x86,
  TUPLE3: 0x87,
  EMPTY_LIST: 0x5d,
  APPEND: 0x61,
  APPENDS: 0x65,
  EMPTY_DICT: 0x7d,
  SETITEM: 0x73,
  SETITEMS: 0x75,
} as const;

const REFUSED_OPCODES = {
  POP: 0x30,
  POP_MARK: 0x31,
  DUP: 0x32,
  FLOAT: 0x46,
  INT: 0x49,
  LONG: 0x4c,
  PERSID: 0x50,
  STRING: 0x53,
  UNICODE: 0x56,
  DICT: 0x64,
  GET: 0x67,
  INST: 0x69,
  LIST: 0x6c,
  OBJ: 0x6f,
  PUT: 0x70,
  NEWOBJ: 0x81,
  EXT1: 0x82,
  EXT2: 0x83,
  EXT4: 0x84,
  LONG4: 0x8b,
  BINUNICODE8: 0x8d,
  BINBYTES8: 0x8e,
  EMPTY_SET: 0x8f,
  ADDITEMS: 0x90,
  FROZENSET: 0x91,
  NEWOBJ_EX: 0x92,
  BYTEARRAY8: 0x96,
  NEXT_BUFFER: 0x97,
  READONLY_BUFFER: 0x98,
} as const;

/** For messages: the opcode's name in Python's documentation. */
export function opcodeName(code: number): string {
  const known = Object.entries({ ...ALLOWED_OPCODES, ...REFUSED_OPCODES }).find(
    ([, value]) => value === code,
  );
  return known?.[0] ?? `0x${code.toString(16).padStart(2, "0")}`;
}
