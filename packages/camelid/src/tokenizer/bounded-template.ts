/**
 * Runs a Jinja program that nobody has to trust: a chat template comes with a model from anywhere, and one that loops for ever
 * or builds a gigabyte of text would hang a run or a server. Work is counted, not time, so the same template either always
 * renders or never does.
 */
import * as jinja from "@huggingface/jinja";

interface Node {
  readonly type: string;
  /** Of a loop: what it goes over, with a condition (`lhs`) or without. */
  readonly iterable?: Node & { readonly lhs?: Node };
}
interface Value {
  readonly value: unknown;
}
interface Environment {
  set(name: string, value: unknown): void;
}

/** The library's declarations of these two cannot be resolved by this module system. */
const { Environment, Interpreter } = jinja as unknown as {
  Environment: new () => Environment;
  Interpreter: new (
    global: Environment,
  ) => { run(program: unknown): Value; evaluate(node: Node | undefined, scope: unknown): Value };
};

/** Far more than any template needs: the longest known take about 100 steps for a message. */
const STEPS = 300_000;
const STEPS_PER_MESSAGE = 2000;
/** Characters of the result, or of any text on the way, beyond several times the messages. */
const CHARACTERS = 1_000_000;
const COPIES_OF_MESSAGES = 16;
const LONGEST_RANGE = 100_000;

/**
 * @param program a template's parsed form
 * @param variables by name; `messages` decides how much work is allowed
 * @throws {Error} when the work or the text exceeds its bounds, and what the template itself raises
 */
export function runBounded(
  program: jinja.Template["parsed"],
  variables: Readonly<Record<string, unknown>> & {
    readonly messages: readonly { readonly content: string }[];
  },
): string {
  const environment = new Environment();
  for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) environment.set(name, value);
  const characters = variables.messages.reduce((sum, { content }) => sum + content.length, 0);
  const interpreter = new BoundedInterpreter(
    environment,
    STEPS + STEPS_PER_MESSAGE * variables.messages.length,
    CHARACTERS + COPIES_OF_MESSAGES * characters,
  );
  return (interpreter.run(program) as { value: string }).value;
}

class BoundedInterpreter extends Interpreter {
  #steps: number;
  readonly #characters: number;
  readonly #iterables = new WeakSet<Node>();

  constructor(environment: Environment, steps: number, characters: number) {
    super(environment);
    this.#steps = steps;
    this.#characters = characters;
  }

  override evaluate(node: Node | undefined, scope: unknown): Value {
    this.#spend(1);
    if (node?.type === "For") {
      this.#iterables.add(node.iterable!);
      if (node.iterable!.lhs !== undefined) this.#iterables.add(node.iterable!.lhs);
    }
    const result = super.evaluate(node, scope);
    const { value } = result;
    if (typeof value === "string") {
      if (value.length > this.#characters)
        throw new Error(`it builds more than ${this.#characters} characters`);
      this.#spend(value.length / 1024);
    } else if (Array.isArray(value) && this.#iterables.has(node!)) {
      this.#spend(value.length); // a loop whose body is empty does not come back here
    }
    return result;
  }

  #spend(steps: number): void {
    this.#steps -= steps;
    if (this.#steps < 0) throw new Error("it does not come to an end within its bounds (a loop?)");
  }
}

/** What the library gives every template, with a range that cannot fill the memory. */
const GLOBALS = {
  ...{ true: true, false: false, none: null, True: true, False: false, None: null },
  raise_exception: (message: string): never => {
    throw new Error(message);
  },
  range(from: number, to?: number, step = 1): number[] {
    const [start, stop] = to === undefined ? [0, from] : [from, to];
    if (step === 0) throw new Error("range() step must not be zero");
    const length = Math.max(0, Math.ceil((stop - start) / step));
    if (!(length <= LONGEST_RANGE))
      throw new Error(`range() of ${length} numbers; at most ${LONGEST_RANGE} are allowed`);
    return Array.from({ length }, (_, index) => start + index * step);
  },
  strftime_now: (format: string): string => NOW.render({ format }),
};

const NOW = new jinja.Template("{{ strftime_now(format) }}");
