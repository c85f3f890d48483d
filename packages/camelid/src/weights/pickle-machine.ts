import { ModelError } from "../errors.js";
import { ByteCursor } from "./byte-cursor.js";
import { ALLOWED_OPCODES as OP, opcodeName } from "./pickle-opcodes.js";
import { PickleStack } from "./pickle-stack.js";
import {
  damaged,
  describe,
  PickleDict,
  PickleGlobal,
  PickleList,
  PickleRefusal,
  PickleTuple,
  type PickleValue,
  setEntries,
  wholeNumber,
} from "./pickle-values.js";

/**
 * A pickle is a program for a stack machine. This one runs the part of the language that builds data; importing,
 * calling and looking up are left to a host that knows a short list of names and does what it wants with them.
 *
 * Every instruction makes at most one value and takes at least one byte, nothing recurses, and stack and
 * instructions are counted: time and memory stay in proportion to the length of the pickle, whatever it says.
 */
export interface PickleHost {
  /** Whether the pickle may name it at all; `name` is "module.attribute". */
  allows(name: string): boolean;
  /** The outcome of calling an allowed name. @throws {PickleRefusal} to end the reading with a reason */
  call(name: string, args: readonly PickleValue[]): PickleValue;
  /** What stands outside of the pickle under this id. @throws {PickleRefusal} */
  persistent(id: PickleValue): PickleValue;
}

/** Elements of tensors lie outside of the pickle, which takes about 150 bytes a tensor. */
export const MAX_PICKLE_BYTES = 64 * 1024 * 1024;
/** CPython's writer flushes containers every 1,000 items, so real stacks hold a few thousand values. */
const MAX_STACK = 100_000;
/** About 30 instructions a tensor in real files: room for 300,000 tensors. */
const MAX_INSTRUCTIONS = 10_000_000;
const MAX_NAME_BYTES = 1024;

/**
 * Runs one pickle.
 * @param bytes starts with, or contains at `start`, the pickle
 * @param file  name for error messages
 * @returns the value and the position of the first byte after the pickle
 * @throws {ModelError} for a damaged pickle and for everything that is not on the short lists
 */
export function runPickle(
  bytes: Uint8Array,
  start: number,
  host: PickleHost,
  file: string,
): { value: PickleValue; end: number } {
  return new PickleMachine(bytes, start, host, file).run();
}

class PickleMachine {
  readonly #cursor: ByteCursor;
  readonly #stack = new PickleStack();
  /** A map: a memo slot numbered four billion takes no more room than slot 0. */
  readonly #memo = new Map<number, PickleValue>();
  /** Where the current instruction begins, for messages. */
  #at = 0;

  constructor(
    bytes: Uint8Array,
    start: number,
    readonly host: PickleHost,
    readonly file: string,
  ) {
    this.#cursor = new ByteCursor(bytes, start, () => damaged("it ends in the middle"));
  }

  run(): { value: PickleValue; end: number } {
    for (let count = 0; count < MAX_INSTRUCTIONS; count++) {
      this.#at = this.#cursor.position;
      try {
        const code = this.#cursor.u8();
        if (code === OP.STOP) return this.#result();
        this.#execute(code);
      } catch (error) {
        if (!(error instanceof PickleRefusal)) throw error;
        throw this.#error(error.code, error.message, error.fix);
      }
      if (this.#stack.size > MAX_STACK) {
        throw this.#error("ERR_PICKLE_LIMIT", `the pickle stacks more than ${MAX_STACK} values.`);
      }
    }
    throw this.#error("ERR_PICKLE_LIMIT", `the pickle has more than ${MAX_INSTRUCTIONS} instructions.`);
  }

  #result(): { value: PickleValue; end: number } {
    const value = this.#stack.pop();
    if (this.#stack.size > 0) this.#fail("it leaves values behind");
    return { value, end: this.#cursor.position };
  }

  #execute(code: number): unknown {
    const cursor = this.#cursor;
    switch (code) {
      // Framing. A frame's length only helps readers that buffer.
      case OP.PROTO: {
        const protocol = cursor.u8();
        return protocol >= 2 && protocol <= 5 ? undefined : this.#fail(`it is of protocol ${protocol}`);
      }
      case OP.FRAME:
        return cursor.take(8);
      case OP.MARK:
        return this.#stack.mark();

      // Names, calls, and what stands outside.
      case OP.GLOBAL:
        return this.#stack.push(
          this.#global(utf8(cursor.line(MAX_NAME_BYTES)), utf8(cursor.line(MAX_NAME_BYTES))),
        );
      case OP.STACK_GLOBAL: {
        const [module, name] = this.#stack.popCount(2);
        return typeof module === "string" && typeof name === "string"
          ? this.#stack.push(this.#global(module, name))
          : this.#fail("a name is not text");
      }
      case OP.REDUCE: {
        const [target, args] = this.#stack.popCount(2);
        if (!(target instanceof PickleGlobal)) return this.#fail(`it calls ${describe(target)}`);
        if (!(args instanceof PickleTuple)) return this.#fail(`it calls ${target.name} without arguments`);
        return this.#stack.push(this.host.call(target.name, args.items));
      }
      case OP.BUILD: {
        // The state of an OrderedDict: module versions in `_metadata`, which loading weights has no use for.
        const [target] = this.#stack.popCount(2);
        return target instanceof PickleDict
          ? this.#stack.push(target)
          : this.#fail(`it sets the state of ${describe(target)}`);
      }
      case OP.BINPERSID:
        return this.#stack.push(this.host.persistent(this.#stack.pop()));

      // Memo.
      case OP.BINPUT:
        return this.#memo.set(cursor.u8(), this.#stack.top());
      case OP.LONG_BINPUT:
        return this.#memo.set(cursor.u32(), this.#stack.top());
      case OP.MEMOIZE:
        return this.#memo.set(this.#memo.size, this.#stack.top());
      case OP.BINGET:
        return this.#stack.push(this.#recall(cursor.u8()));
      case OP.LONG_BINGET:
        return this.#stack.push(this.#recall(cursor.u32()));

      // Plain values.
      case OP.NONE:
        return this.#stack.push(null);
      case OP.NEWTRUE:
        return this.#stack.push(true);
      case OP.NEWFALSE:
        return this.#stack.push(false);
      case OP.BININT:
        return this.#stack.push(cursor.i32());
      case OP.BININT1:
        return this.#stack.push(cursor.u8());
      case OP.BININT2:
        return this.#stack.push(cursor.u16());
      case OP.LONG1:
        return this.#stack.push(wholeNumber(cursor.take(cursor.u8())));
      case OP.BINFLOAT:
        return this.#stack.push(cursor.f64());
      case OP.BINUNICODE:
        return this.#stack.push(utf8(cursor.take(cursor.u32())));
      case OP.SHORT_BINUNICODE:
        return this.#stack.push(utf8(cursor.take(cursor.u8())));
      // Python 2's strings: names and numbers in ASCII wherever torch wrote them.
      case OP.BINSTRING:
        return this.#stack.push(utf8(cursor.take(cursor.u32())));
      case OP.SHORT_BINSTRING:
        return this.#stack.push(utf8(cursor.take(cursor.u8())));
      case OP.BINBYTES:
        return this.#stack.push(cursor.take(cursor.u32()));
      case OP.SHORT_BINBYTES:
        return this.#stack.push(cursor.take(cursor.u8()));

      // Containers.
      case OP.EMPTY_TUPLE:
        return this.#stack.push(new PickleTuple([]));
      case OP.TUPLE1:
        return this.#stack.push(new PickleTuple(this.#stack.popCount(1)));
      case OP.TUPLE2:
        return this.#stack.push(new PickleTuple(this.#stack.popCount(2)));
      case OP.TUPLE3:
        return this.#stack.push(new PickleTuple(this.#stack.popCount(3)));
      case OP.TUPLE:
        return this.#stack.push(new PickleTuple(this.#stack.popMark()));
      case OP.EMPTY_LIST:
        return this.#stack.push(new PickleList());
      case OP.APPEND:
        return this.#append(this.#stack.popCount(1));
      case OP.APPENDS:
        return this.#append(this.#stack.popMark());
      case OP.EMPTY_DICT:
        return this.#stack.push(new PickleDict());
      case OP.SETITEM:
        return this.#setItems(this.#stack.popCount(2));
      case OP.SETITEMS:
        return this.#setItems(this.#stack.popMark());
      default:
        throw new PickleRefusal(
          "ERR_PICKLE_OPCODE",
          `the pickle uses ${opcodeName(code)}, which dictionaries of tensors never need.`,
          SAFER_FILE,
        );
    }
  }

  #global(module: string, attribute: string): PickleGlobal {
    const name = `${module}.${attribute}`;
    if (this.host.allows(name)) return new PickleGlobal(name);
    const shown = name.length > 120 ? `${name.slice(0, 120)}…` : name;
    throw new PickleRefusal(
      "ERR_PICKLE_FORBIDDEN",
      `the pickle asks for ${JSON.stringify(shown)}, which is not needed to store tensors; it was not executed.`,
      SAFER_FILE,
    );
  }

  #append(values: PickleValue[]): undefined {
    const target = this.#stack.top();
    if (!(target instanceof PickleList)) return this.#fail(`it appends to ${describe(target)}`);
    for (const value of values) target.items.push(value);
  }

  #setItems(values: PickleValue[]): undefined {
    const target = this.#stack.top();
    if (!(target instanceof PickleDict)) return this.#fail(`it sets items of ${describe(target)}`);
    setEntries(target, values);
  }

  #recall(slot: number): PickleValue {
    const value = this.#memo.get(slot);
    return value === undefined ? this.#fail(`memo slot ${slot} is empty`) : value;
  }

  #fail(what: string): never {
    throw damaged(what);
  }

  #error(code: string, message: string, fix?: string): ModelError {
    const where = `${this.file}, byte ${this.#at} of the pickle`;
    return new ModelError(code, message, fix === undefined ? { where } : { where, fix });
  }
}

const decoder = new TextDecoder();
const utf8 = (bytes: Uint8Array) => decoder.decode(bytes);

const SAFER_FILE =
  "use the model's safetensors files. If there are none and you trust the source, load the file in Python and save " +
  "its tensors with safetensors.torch.save_file.";
