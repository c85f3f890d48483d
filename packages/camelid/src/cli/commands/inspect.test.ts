import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test, vi } from "vitest";
import { LLAMA_FOLDER } from "../../../../../tests/tokenizers.js";
import { runCli } from "../run-cli.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "camelid-inspect-"));
  const row = (dataset: string, content: string) =>
    JSON.stringify({
      dataset,
      messages: [
        { role: "user", content: "Hi there" },
        { role: "assistant", content },
      ],
    });
  await writeFile(
    join(folder, "rows.jsonl"),
    [row("a", "Hello!"), row("b", "See </s> <script>"), "{broken", row("b", "Bye")].join("\n"),
  );
});

async function inspect(...flags: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  const words = ["inspect", "--data", join(folder, "rows.jsonl"), "--model", LLAMA_FOLDER, ...flags];
  const code = await runCli(words, { out: (text) => (out += text), err: (text) => (err += text) });
  write.mockRestore();
  return { code, out, err };
}

test("shows rows in the terminal and writes one HTML file that loads nothing", async () => {
  const page = join(folder, "inspect.html");
  const { code, out } = await inspect("--on-bad", "skip", "--out", page);
  expect(code).toBe(0);
  expect(out).toContain("assistant  ┃ Hello│!");
  expect(out).toContain("every row has exactly one BOS");
  expect(out).toContain("every answer ends with </s> (3 times)");
  expect(out).toContain("1 rows left out.");
  expect(out).toContain(page);
  const html = await readFile(page, "utf8");
  expect(html).toContain("Row 3");
  expect(html).not.toMatch(/(?:src|href)="http/);
  // Data cannot become markup: the row's "<script>" is there as text only.
  expect(html.match(/<script/g)).toHaveLength(1);
});

test("a broken row stops it, with the line", async () => {
  const { code, err } = await inspect("--out", join(folder, "none.html"));
  expect(code).toBe(2);
  expect(err).toContain("DataError [ERR_JSON]");
  expect(err).toContain("rows.jsonl line 3");
});

test("prints ids, labels, roles and texts as JSON", async () => {
  const { out } = await inspect("--on-bad", "skip", "--json", "--source", "a");
  const rows = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({ row: 1, id: "rows_0", dataset: "a" });
  expect(rows[0].input_ids.slice(-3)).toEqual([10994, 29991, 2]);
  expect(rows[0].labels.slice(-4)).toEqual([-100, 10994, 29991, 2]);
  expect(rows[0].texts.slice(-3)).toEqual(["Hello", "!", "</s>"]);
});

test.each([
  [["--rows", "0"], "ERR_USAGE"],
  [["--from", "9"], "ERR_NO_ROWS"],
  [["--source", "none"], "ERR_NO_ROWS"],
  [["--token-variant", "D"], "ERR_USAGE"],
])("%j is refused", async (flags, code) => {
  const result = await inspect("--on-bad", "skip", ...flags);
  expect(result.code).toBe(2);
  expect(result.err).toContain(code);
});

test("shows both sides of a pair, with loss on the last answer only", async () => {
  const turns = [
    { role: "user", content: "Hi there" },
    { role: "assistant", content: "Hello!" },
    { role: "user", content: "Name a colour" },
  ];
  const pairs = ["Blue is one.", "Red, and green."].map((chosen, i) => ({
    ...{ dataset: "d", id: `p${i}` },
    chosen: [...turns, { role: "assistant", content: chosen }],
    rejected: [...turns, { role: "assistant", content: "no" }],
  }));
  const file = join(folder, "pairs.jsonl");
  await writeFile(file, pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(""));
  const page = join(folder, "pairs.html");
  const { code, out } = await inspect("--data", file, "--out", page);
  expect(code, out).toBe(0);
  expect(out).toMatch(/^row 1 {2}p0 chosen {2}d /m);
  expect(out).toMatch(/^row 2 {2}p1 rejected {2}d /m);
  expect(out).toMatch(/assistant {2}┃ B/);
  expect(out).toContain("assistant    Hello│!");
  expect(out).toContain("2 pairs as a page");
  const json = await inspect("--data", file, "--json", "--from", "2", "--rows", "1");
  const [chosen, rejected] = json.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { id: string; row: number; labels: number[]; texts: string[] });
  expect([chosen!.id, rejected!.id, chosen!.row, rejected!.row]).toEqual(["p1 chosen", "p1 rejected", 2, 2]);
  const trained = ({ labels, texts }: { labels: number[]; texts: string[] }) =>
    texts.filter((_, i) => labels[i] !== -100).join("");
  expect(trained(chosen!)).toBe("Red, and green.</s>");
  expect(trained(rejected!)).toBe("no</s>");
});
