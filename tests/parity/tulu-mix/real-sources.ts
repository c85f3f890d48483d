/**
 * Tülu 1's sources out of the real rows in ../shared/data, put into the original names and schemas: texts, Unicode,
 * markup and senders are real, only keys are renamed. (Tülu 2 cannot be had this way: its quotas exceed the files.)
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

export function writeRealSources(shared: string, folder: string): void {
  const read = (path: string) => {
    const bytes = readFileSync(join(shared, path));
    return (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
  };
  const array = (path: string) => JSON.parse(read(path)) as Record<string, unknown>[];
  const lines = (path: string) =>
    read(path)
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const write = (path: string, content: string) => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), content);
  };
  const jsonLines = (path: string, rows: readonly unknown[]) =>
    write(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));

  const p3 = readdirSync(join(shared, "p3_t0")).filter((name) => name.endsWith(".jsonl.gz"));
  jsonLines(
    "flan_v2/tulu_v1_resampled_flan_100k.jsonl",
    p3
      .flatMap((name) => lines(`p3_t0/${name}`))
      .map(({ prompt, completion }) => ({ inputs: prompt, targets: completion })),
  );
  const tables = ["gsm8k", "ecqa", "creak", "strategyqa"].map((task) =>
    read(`flan_cot/${task}_train.tsv.gz`)
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.split("\t"))
      .map(([question, answer, explanation]) => ({ inputs: question, targets: `${explanation}\n${answer}` })),
  );
  jsonLines("cot/cot_zsopt.jsonl", tables.slice(0, 2).flat());
  jsonLines("cot/cot_fsopt.jsonl", tables.slice(2).flat());

  interface Node {
    rank?: number | null;
    labels?: unknown;
    replies: Node[];
  }
  // The early export has ranks where the final one has quality labels.
  const labelled = (node: Node): Node => ({
    ...node,
    labels: node.rank == null ? {} : { quality: { value: 1 - node.rank / 10 } },
    replies: node.replies.map(labelled),
  });
  const trees = lines("oasst/en_100_tree.jsonl.gz") as unknown as { prompt: Node }[];
  jsonLines(
    "oasst1/2023-04-12_oasst_ready.trees.jsonl",
    trees.map((tree) => ({ ...tree, prompt: labelled(tree.prompt) })),
  );
  jsonLines(
    "dolly/databricks-dolly-15k.jsonl",
    array("dolly/dolly_3k.json.gz").map(({ instruction, input, output }) => ({
      instruction,
      context: input,
      response: output,
    })),
  );
  write("gpt4_alpaca/alpaca_gpt4_data.json", read("gpt4_alpaca/alpaca_en_demo.json.gz"));
  const code = ["code_alpaca_2k", "new_codealpaca"].flatMap((name) => array(`code_alpaca/${name}.json.gz`));
  write("code_alpaca/code_alpaca_20k.json", JSON.stringify(code, null, 4));
  const chats = array("sharegpt/sharegpt_sample.json.gz");
  write("sharegpt/sg_90k_part1_html_cleaned.json", JSON.stringify(chats.slice(0, 400)));
  write("sharegpt/sg_90k_part2_html_cleaned.json", JSON.stringify(chats.slice(400), null, 2));
}
