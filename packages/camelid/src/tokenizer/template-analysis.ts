import type { Template } from "@huggingface/jinja";

/**
 * True when a template provably only copies (and trims) message contents: no condition, filter or function looks into
 * one. Its layout then depends on the roles alone, and need not be rendered for every row.
 *
 * Values are sorted into four kinds: `clean` (knows nothing of contents), `content` (one content, trimmed or not), `text`
 * (contents joined with other text; trimming it could reach past an empty content) and `message` (a message, or the list
 * of them). Whatever is not understood makes the answer false, which costs time and nothing else.
 */
export function copiesContents(program: Template["parsed"]): boolean {
  const analysis = new Analysis();
  try {
    // Loops can carry kinds backwards, from a later `set` to an earlier use: repeat until nothing changes.
    for (let before = -1; before !== analysis.changes; ) {
      before = analysis.changes;
      analysis.statements(program.body as unknown as Node[]);
    }
    return true;
  } catch (error) {
    if (error instanceof LooksIntoContents) return false;
    throw error;
  }
}

type Kind = "clean" | "content" | "text" | "message";

/** Nodes of the Jinja library, which exports no types for them. */
interface Node {
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: fields differ by type
  readonly [field: string]: any;
}

class LooksIntoContents extends Error {}

class Analysis {
  changes = 0;
  readonly #variables = new Map<string, Kind>([["messages", "message"]]);

  statements(nodes: readonly Node[]): void {
    for (const node of nodes) this.#statement(node);
  }

  #statement(node: Node): void {
    switch (node.type) {
      case "Comment":
      case "Break":
      case "Continue":
        return;
      case "If":
        this.#condition(node.test);
        this.statements(node.body);
        this.statements(node.alternate);
        return;
      case "For":
        this.#assign(node.loopvar, this.#oneOf(["clean", "message"], node.iterable));
        this.statements(node.body);
        this.statements(node.defaultBlock);
        return;
      case "Set":
        if (node.value === null || node.value === undefined) throw new LooksIntoContents();
        this.#assign(node.assignee, this.#kind(node.value));
        return;
      default:
        this.#oneOf(["clean", "content", "text"], node); // printed
    }
  }

  #assign(target: Node, kind: Kind): void {
    const name = nameOf(target);
    if (name === undefined) {
      if (kind !== "clean") throw new LooksIntoContents();
      return;
    }
    const before = this.#variables.get(name);
    const joined = before === undefined ? kind : this.#join(before, kind);
    if (joined === before) return;
    this.#variables.set(name, joined);
    this.changes++;
  }

  #kind(node: Node): Kind {
    switch (node.type) {
      case "StringLiteral":
      case "IntegerLiteral":
      case "FloatLiteral":
        return "clean";
      case "Identifier":
        if (node.value === "strftime_now") throw new LooksIntoContents(); // changes between rows
        return this.#variables.get(node.value) ?? "clean";
      case "MemberExpression":
        return this.#member(node);
      case "CallExpression":
        return this.#call(node);
      case "FilterExpression":
        return this.#filter(node);
      case "TestExpression":
        // What kind of value it is does not depend on what the text says.
        if (this.#kind(node.operand) !== "clean" && !TYPE_TESTS.has(node.test.value))
          throw new LooksIntoContents();
        return "clean";
      case "BinaryExpression":
        return this.#binary(node);
      case "UnaryExpression":
        this.#condition(node.argument);
        return "clean";
      case "Ternary":
        this.#condition(node.condition);
        return this.#join(this.#kind(node.trueExpr), this.#kind(node.falseExpr));
      case "SelectExpression":
        this.#condition(node.test);
        return this.#kind(node.lhs);
      case "KeywordArgumentExpression":
        return this.#mustBeClean(node.value);
      case "ArrayLiteral":
      case "TupleLiteral":
        for (const item of node.value) this.#mustBeClean(item);
        return "clean";
      default:
        throw new LooksIntoContents();
    }
  }

  #member(node: Node): Kind {
    const name = nameOf(node);
    const known = name === undefined ? undefined : this.#variables.get(name);
    if (known !== undefined) return known;
    const object = this.#kind(node.object);
    if (object === "text" || object === "content") throw new LooksIntoContents();
    if (object === "clean") {
      const neighbour =
        node.object.value === "loop" && ["previtem", "nextitem"].includes(node.property.value);
      return neighbour ? "message" : "clean";
    }
    if (!node.computed || node.property.type === "StringLiteral") {
      return node.property.value === "content" ? "content" : "clean";
    }
    if (node.property.type === "SliceExpression" || this.#isIndex(node.property)) return "message";
    throw new LooksIntoContents();
  }

  /** A number for certain: `0`, `-1`, `loop.index0 - 1`. */
  #isIndex(node: Node): boolean {
    if (node.type === "IntegerLiteral") return true;
    if (node.type === "UnaryExpression") return this.#isIndex(node.argument);
    if (node.type === "BinaryExpression") return this.#isIndex(node.left) || this.#isIndex(node.right);
    return node.type === "MemberExpression" && node.object.value === "loop";
  }

  #call(node: Node): Kind {
    const { callee, args } = node;
    if (callee.type === "MemberExpression" && !callee.computed) {
      const object = this.#kind(callee.object);
      const method: string = callee.property.value;
      if (object === "content" && TRIMMING.has(method) && args.length === 0) return "content";
      if (object === "message" && method === "get" && args[0]?.type === "StringLiteral") {
        return args[0].value === "content" ? "content" : "clean";
      }
      if (object !== "clean") throw new LooksIntoContents();
    }
    for (const arg of args) this.#mustBeClean(arg);
    return this.#mustBeClean(callee);
  }

  #filter(node: Node): Kind {
    const operand = this.#kind(node.operand);
    if (operand === "clean") return "clean";
    const name: string | undefined = node.filter.value;
    if (operand === "content" && name === "trim") return "content";
    if (operand === "message" && name === "length") return "clean";
    if (operand === "message" && (name === "first" || name === "last")) return "message";
    throw new LooksIntoContents();
  }

  #binary({ operator, left, right }: Node): Kind {
    const kinds = [this.#kind(left), this.#kind(right)] as const;
    if (kinds[0] === "clean" && kinds[1] === "clean") return "clean";
    const word: string = operator.value;
    if ((word === "+" || word === "~") && !kinds.includes("message")) return "text";
    // `'tool_calls' in message` asks for keys, which all our messages have in common.
    if ((word === "in" || word === "not in") && kinds[0] === "clean" && kinds[1] === "message")
      return "clean";
    const readable = kinds.every((kind) => kind === "clean" || kind === "message");
    if ((word === "and" || word === "or") && readable) return "message";
    throw new LooksIntoContents();
  }

  /** Whether there is a message does not depend on what it says. */
  #condition(node: Node): void {
    this.#oneOf(["clean", "message"], node);
  }

  /** The kind of a value that is sometimes the one and sometimes the other. */
  #join(a: Kind, b: Kind): Kind {
    if (a === b) return a;
    if (a !== "message" && b !== "message") return "text";
    if (a === "clean" || b === "clean") return "message";
    throw new LooksIntoContents();
  }

  #mustBeClean(node: Node): Kind {
    return this.#oneOf(["clean"], node);
  }

  #oneOf(allowed: readonly Kind[], node: Node): Kind {
    const kind = this.#kind(node);
    if (allowed.includes(kind)) return kind;
    throw new LooksIntoContents();
  }
}

/** `name` or `namespace.name`. */
function nameOf(node: Node): string | undefined {
  if (node.type === "Identifier") return node.value;
  if (node.type !== "MemberExpression" || node.computed || node.object.type !== "Identifier")
    return undefined;
  return `${node.object.value}.${node.property.value}`;
}

const TRIMMING = new Set(["strip", "lstrip", "rstrip"]);
const TYPE_TESTS = new Set([
  "defined",
  "undefined",
  "none",
  "string",
  "mapping",
  "iterable",
  "number",
  "boolean",
]);
