/**
 * Raw files of every Tülu 2 source, generated, in the original names and schemas, with just enough rows for the
 * original quotas and with the odd cases each rule has. Texts are word salad; equal every time.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { withDatabase } from "../../../packages/camelid/src/data/files/duckdb.js";
import { PythonRandom } from "../../../packages/camelid/src/data/python-random.js";
import { FLAN_SHARES_V2 } from "../../../packages/camelid/src/data/sources/flan-v2.js";

const WORDS =
  'water stone seven quiet garden letter palm bombarded window green OpenAI river Claudette number gpt-4 answer table light 北京 naïve émigré 🙂 e\u0301 x\u0085y a\u2028b tab\there back\\slash "quoted" {input} $& </s> <|user|> \u007f end'.split(
    " ",
  );
/** White space on which Python's strip() and JavaScript's trim() disagree, and some on which they agree. */
const EDGES = ["", "", "", "", "\n", "  ", "\u001c", "\u0085", "\ufeff", "\u00a0", "\u3000\n", ":", ":\n"];

/** Writes all sources under `folder`, one folder each, and nothing else. */
export async function writeTuluSources(folder: string): Promise<void> {
  const random = new PythonRandom(7);
  const pick = <T>(items: readonly T[]): T => items[random.randbelow(items.length)]!;
  const text = (most: number): string =>
    pick(EDGES) +
    Array.from({ length: 1 + random.randbelow(most) }, () => pick(WORDS)).join(" ") +
    pick(EDGES);
  const rows = <T>(count: number, make: (i: number) => T): T[] =>
    Array.from({ length: count }, (_, i) => make(i));
  const write = (path: string, content: string) => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), content);
  };
  const lines = (path: string, items: readonly unknown[]) =>
    write(path, items.map((item) => `${JSON.stringify(item)}\n`).join(""));

  const flan = (i: number) => ({ inputs: `${i} ${text(6)}`, targets: text(3), _task: "ignored" });
  lines("flan_v2/tulu_v2_resampled_flan_50k.jsonl", rows(600, flan));
  for (const [submix, share] of Object.entries(FLAN_SHARES_V2)) {
    lines(
      `flan_v2/${submix}/${submix}.jsonl`,
      rows(Math.trunc(share * 50_000) + 40, (i) => ({ inputs: `${submix} ${i}`, targets: "t" })),
    );
  }
  lines(
    "cot/cot_zsopt.jsonl",
    rows(25_040, (i) => ({ inputs: `z${i}${pick(EDGES)}`, targets: pick(WORDS) })),
  );
  lines(
    "cot/cot_fsopt.jsonl",
    rows(25_000, (i) => ({ inputs: `f${i}${pick(EDGES)}`, targets: pick(WORDS) })),
  );

  const node = (role: "prompter" | "assistant", depth: number): object => ({
    message_id: "m",
    text: text(8),
    role,
    deleted: depth > 0 && random.randbelow(12) === 0,
    labels:
      random.randbelow(6) === 0
        ? { spam: { value: 0, count: 3 } }
        : { quality: { value: pick([0.25, 0.5, 0.5, 0.75, 1]), count: 3 } },
    replies: rows(depth >= 4 ? 0 : random.randbelow(4), () =>
      node(role === "prompter" ? "assistant" : "prompter", depth + 1),
    ),
  });
  lines(
    "oasst1/2023-04-12_oasst_ready.trees.jsonl",
    rows(400, (i) => ({
      message_tree_id: `t${i}`,
      tree_state: "ready_for_export",
      prompt: node("prompter", 0),
    })),
  );
  lines(
    "lima/train.jsonl",
    rows(300, () => ({ conversations: rows(2 + random.randbelow(4), () => text(10)), source: "x" })),
  );

  const alpaca = () => ({
    instruction: text(8),
    input: random.randbelow(3) === 0 ? text(5) : pick(["", " \n"]),
    output: text(8),
  });
  write("gpt4_alpaca/alpaca_gpt4_data.json", JSON.stringify(rows(20_200, alpaca), null, 4));
  write("code_alpaca/code_alpaca_20k.json", JSON.stringify(rows(900, alpaca)));

  const turns = (count: number, senders: readonly string[], length: () => number) =>
    rows(count, (i) => ({ from: senders[i % senders.length]!, value: text(length()) }));
  const length = () => pick([5, 20, 200, 700, 1800]);
  const conversation = (i: number) => ({
    id: `c${i}`,
    conversations: turns(
      1 + random.randbelow(10),
      pick([
        ["human", "gpt"],
        ["human", "gpt"],
        ["human", "gpt"],
        ["gpt", "human"],
        ["human", "system"],
        ["user", "chatgpt"],
      ]),
      length,
    ),
  });
  write("sharegpt/sg_90k_part1_html_cleaned.json", JSON.stringify(rows(220, conversation)));
  write("sharegpt/sg_90k_part2_html_cleaned.json", JSON.stringify(rows(60, (i) => conversation(i + 220))));

  const evolved = (i: number) => ({
    idx: `w${i}`,
    conversations: turns(i % 9 === 0 ? 4 : 2, ["human", "gpt"], () => 4),
  });
  write("wizardlm/WizardLM_evol_instruct_V2_143k.json", JSON.stringify(rows(30_300, evolved)));

  lines(
    "open_orca/rows.jsonl",
    rows(30_500, (i) => ({
      id: `flan.${i}`,
      system_prompt: i % 3 === 0 ? "" : text(3),
      question: text(5),
      response: text(5),
    })),
  );
  await withDatabase(async (connection) => {
    const table = `read_json('${folder}/open_orca/rows.jsonl', format='newline_delimited')`;
    await connection.run(`COPY (SELECT * FROM ${table}) TO '${folder}/open_orca/1M-GPT4-Augmented.parquet'`);
    await connection.run(
      `COPY (SELECT * FROM ${table} LIMIT 10) TO '${folder}/open_orca/3_5M-GPT3_5-Augmented.parquet'`,
    );
  });

  lines(
    "science/science_train.jsonl",
    rows(250, (i) => ({
      dataset: pick(["scifact_json", "scitldr_aic", "scierc_ner"]),
      input: text(20),
      output: text(6),
      extra: i,
    })),
  );
  const identity = rows(14, (i) => [
    `Who made you (${i})?  `,
    ` I was made by ${text(3).replace(/[^ -~]/g, "")}.`,
  ]);
  mkdirSync(join(folder, "hard_coded"), { recursive: true });
  writeFileSync(
    join(folder, "hard_coded/hard_coded_examples.xlsx"),
    workbook([["Prompt", "Output"], ...identity]),
  );
}

/** The smallest .xlsx that spreadsheet readers take: stored zip entries, inline strings. */
export function workbook(rows: readonly (readonly string[])[]): Buffer {
  const escaped = (cell: string) =>
    cell.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const cells = rows.map((row, r) => {
    const inner = row.map(
      (cell, c) =>
        `<c r="${"AB"[c]}${r + 1}" t="inlineStr"><is><t xml:space="preserve">${escaped(cell)}</t></is></c>`,
    );
    return `<row r="${r + 1}">${inner.join("")}</row>`;
  });
  const main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
  const office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
  const packaged = "http://schemas.openxmlformats.org/package/2006";
  const type = "application/vnd.openxmlformats-officedocument.spreadsheetml";
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n';
  const relation = (id: string, kind: string, target: string) =>
    `${head}<Relationships xmlns="${packaged}/relationships"><Relationship Id="${id}" Type="${office}/${kind}" Target="${target}"/></Relationships>`;
  return zip({
    "[Content_Types].xml": `${head}<Types xmlns="${packaged}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="${type}.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="${type}.worksheet+xml"/></Types>`,
    "_rels/.rels": relation("rId1", "officeDocument", "xl/workbook.xml"),
    "xl/workbook.xml": `${head}<workbook xmlns="${main}" xmlns:r="${office}"><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>`,
    "xl/_rels/workbook.xml.rels": relation("rId1", "worksheet", "worksheets/sheet1.xml"),
    "xl/worksheets/sheet1.xml": `${head}<worksheet xmlns="${main}"><sheetData>${cells.join("")}</sheetData></worksheet>`,
  });
}

function zip(files: Readonly<Record<string, string>>): Buffer {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const data = Buffer.from(content);
    const shared = Buffer.alloc(26); // the fields that local header and directory have in common
    shared.writeUInt16LE(20, 0);
    shared.writeUInt32LE(0x00210000, 6); // 1 January 1980
    shared.writeUInt32LE(crc32(data), 10);
    shared.writeUInt32LE(data.length, 14);
    shared.writeUInt32LE(data.length, 18);
    shared.writeUInt16LE(name.length, 22);
    const body = Buffer.concat([Buffer.from("PK\x03\x04"), shared, Buffer.from(name), data]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(
      Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.from([20, 0]), shared, tail, Buffer.from(name)]),
    );
    bodies.push(body);
    offset += body.length;
  }
  const size = directory.reduce((sum, entry) => sum + entry.length, 0);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(directory.length, 8);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...bodies, ...directory, end]);
}
