/** Parses libtorch's operator schemas: `aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor`. */
export interface Argument {
  name: string;
  /** The schema's own type without alias marks: "Tensor", "SymInt[]", "int[1]?", "ScalarType?" ... */
  type: string;
  defaultValue: string | undefined;
  keywordOnly: boolean;
}

export interface Schema {
  operator: string;
  args: Argument[];
  returns: string[];
  /** Position of the argument that is changed and returned: 0 for `add_`, that of `out` for `add.out`. */
  returnedArgument: number | undefined;
}

export function parseSchema(text: string): Schema {
  const match = /^([\w:]+(?:\.\w+)?)\((.*)\) -> (.*)$/.exec(text);
  if (match === null) throw new Error(`not a schema: ${text}`);
  const [, operator = "", argumentText = "", returnText = ""] = match;
  let keywordOnly = false;
  const args: Argument[] = [];
  const parts = splitAtCommas(argumentText).filter((part) => {
    keywordOnly ||= part === "*";
    if (part !== "*") args.push(parseArgument(part, keywordOnly));
    return part !== "*";
  });
  // Returns may be named: "(Tensor values, Tensor indices)".
  const returns = splitAtCommas(returnText.replace(/^\((.*)\)$/, "$1")).map(
    (part) => withoutAliasMarks(part).split(" ")[0]!,
  );
  const alias = /^Tensor(\(\w!\))$/.exec(returnText)?.[1];
  const returnedArgument = alias === undefined ? undefined : parts.findIndex((part) => part.includes(alias));
  return { operator, args, returns, returnedArgument };
}

function parseArgument(text: string, keywordOnly: boolean): Argument {
  const match = /^(\S+) (\w+)(?:=(.*))?$/.exec(withoutAliasMarks(text));
  if (match === null) throw new Error(`not an argument: ${text}`);
  const [, type = "", name = "", defaultValue] = match;
  return { type, name, defaultValue, keywordOnly };
}

/** "Tensor(a!)[]" says what is aliased or written; the type is "Tensor[]". */
function withoutAliasMarks(text: string): string {
  return text.replace(/\(\w+!?(?: -> \*)?\)/g, "");
}

function splitAtCommas(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "(" || char === "[") depth++;
    else if (char === ")" || char === "]") depth--;
    else if (char === "," && depth === 0) {
      parts.push(text.slice(start, i).trim());
      start = i + 1;
    }
  }
  const last = text.slice(start).trim();
  return last === "" ? parts : [...parts, last];
}
