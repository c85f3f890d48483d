/** What people's files do wrong: said with file and line, or skipped, counted and listed. Never lost. */
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { withDatabase } from "../../packages/camelid/src/data/files/duckdb.js";
import { explain } from "../../packages/camelid/src/data/mix/explain.js";
import { mix } from "../../packages/camelid/src/data/mix/mix.js";
import { defineMixture, type MixtureInput } from "../../packages/camelid/src/data/mixture-file.js";
import { tulu2Mixture } from "../../packages/camelid/src/data/presets/tulu.js";
import type { CamelidError } from "../../packages/camelid/src/errors.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-faults-"));
afterAll(() => rmSync(folder, { recursive: true }));

let runs = 0;
async function run(
  files: string,
  onBad: "stop" | "skip",
  source: Partial<MixtureInput["sources"][number]> = {},
) {
  const out = join(folder, `out-${runs++}`);
  const mixture = defineMixture({ sources: [{ name: "s", files, ...source }] }, folder);
  const manifest = await mix(mixture, { out, onBad, allowFewer: false, threads: 1 });
  return { out, manifest, source: manifest.sources[0]! };
}
async function failure(
  files: string,
  source: Partial<MixtureInput["sources"][number]> = {},
  onBad: "stop" | "skip" = "stop",
): Promise<CamelidError> {
  return await run(files, onBad, source).then(
    () => expect.unreachable(`${files} was read`),
    (error: CamelidError) => error,
  );
}
function file(name: string, content: string | Buffer): string {
  writeFileSync(join(folder, name), content);
  return name;
}
const good = (i: number) => `${JSON.stringify({ prompt: `question ${i}`, completion: `answer ${i}` })}\n`;

test("a broken line stops the mix with its file and line, or is skipped, counted and listed", async () => {
  const name = file("broken.jsonl", `${good(1)}\n${good(2)}{"prompt": "cut off\n${good(3)}not json\n`);
  const error = await failure(name);
  expect(error.format()).toMatch(/ERR_DATA_JSON[\s\S]*where: broken\.jsonl line 4[\s\S]*--on-bad skip/);
  const { source, out } = await run(name, "skip");
  expect(source).toMatchObject({ read: 5, bad: 2, written: 3, files: [{ blankLines: 1 }] });
  expect(source.badRows.map(({ where }) => where)).toEqual(["broken.jsonl line 4", "broken.jsonl line 6"]);
  expect(await explain(out, "broken.jsonl:3")).toMatchObject([{ fate: "bad" }]);
});

test("a bad element of an array is told by its number and its line", async () => {
  const name = file(
    "array.json",
    JSON.stringify([{ prompt: "q", completion: "a" }, { prompt: "q" }], null, 1),
  );
  expect((await failure(name)).where).toMatch(/array\.json element 2, line 6, field completion/);
});

test("a row with other columns lists what it has", async () => {
  const name = file("columns.jsonl", `${good(1)}{"prompt": "q", "reply": "a"}\n`);
  expect((await failure(name)).message).toMatch(/field completion.*the row has "prompt", "reply"/);
});

test("text that is not UTF-8 is refused where it stands", async () => {
  const latin1 = file(
    "latin1.jsonl",
    Buffer.concat([
      Buffer.from(good(1)),
      Buffer.from('{"prompt": "caf\xe9", "completion": "a"}\n', "latin1"),
    ]),
  );
  const error = await failure(latin1);
  expect([error.code, error.where]).toEqual(["ERR_DATA_ENCODING", "latin1.jsonl line 2"]);
  expect((await run(latin1, "skip")).source).toMatchObject({ bad: 1, written: 1 });
  const utf16 = file("utf16.jsonl", Buffer.from(`\ufeff${good(1)}`, "utf16le"));
  expect((await failure(utf16)).fix).toMatch(/iconv -f UTF-16/);
});

test("an unknown sender is an error that lists the known ones", async () => {
  const name = file("senders.json", JSON.stringify([{ conversations: [{ from: "narrator", value: "x" }] }]));
  expect((await failure(name)).format()).toMatch(
    /unknown message sender "narrator"[\s\S]*field conversations\[0\][\s\S]*human, /,
  );
});

test("a truncated gzip stops the mix; skipping keeps the readable rows and says so", async () => {
  const text = Array.from({ length: 5000 }, (_, i) => good(i)).join("");
  const whole = gzipSync(text);
  const name = file("cut.jsonl.gz", whole.subarray(0, whole.length / 2));
  expect((await failure(name)).code).toBe("ERR_DATA_TRUNCATED");
  const { source } = await run(name, "skip");
  expect(source.written).toBeGreaterThan(1000);
  expect(source.read).toBe(source.written + source.bad);
  expect(source.files[0]!.damage).toMatch(/ends early/);
});

test("a truncated Parquet, array or workbook is told by name", async () => {
  await withDatabase((db) =>
    db.run(`COPY (SELECT 'q' AS prompt, 'a' AS completion FROM range(1000)) TO '${folder}/whole.parquet'`),
  );
  const parquet = readFileSync(join(folder, "whole.parquet"));
  file("cut.parquet", parquet.subarray(0, parquet.length - 100));
  file("page.parquet", "<html>404</html>");
  file("cut.json", JSON.stringify([{ prompt: "q", completion: "a" }]).slice(0, -1));
  file("cut.xlsx", Buffer.from("PK\x03\x04 and then nothing"));
  const codes = {
    "cut.parquet": "ERR_DATA_TRUNCATED",
    "page.parquet": "ERR_DATA_TRUNCATED",
    "cut.json": "ERR_DATA_TRUNCATED",
    "cut.xlsx": "ERR_DATA_XLSX",
  };
  for (const [name, code] of Object.entries(codes)) expect((await failure(name)).code, name).toBe(code);
  expect((await run("cut.json", "skip")).source).toMatchObject({
    written: 1,
    files: [{ damage: expect.stringContaining("closing bracket") }],
  });
});

test("empty files, missing files and folders are told apart", async () => {
  expect(await failure(file("empty.jsonl", ""), { format: "messages" })).toMatchObject({
    ...{ code: "ERR_NO_ROWS", exitCode: 2, where: "rows read: 0" },
    fix: expect.stringContaining("empty"),
  });
  expect((await failure("nowhere.jsonl")).code).toBe("ERR_DATA_FILE_MISSING");
});

test("a mixture of which nothing is left says where its rows went, and writes nothing", async () => {
  const name = file("all-bad.jsonl", "not json\n{}\n");
  const error = await failure(name, { format: "messages" }, "skip");
  expect(error).toMatchObject({ code: "ERR_NO_ROWS", where: expect.stringMatching(/read: 2; .* 2 bad$/) });
  expect(existsSync(join(folder, `out-${runs - 1}`, "train.jsonl"))).toBe(false);
});

test("two rows with one id are both kept: ids are not keys", async () => {
  const row = (text: string) =>
    `${JSON.stringify({
      id: "x",
      messages: [
        { role: "user", content: text },
        { role: "assistant", content: "a" },
      ],
    })}\n`;
  const { source, out } = await run(file("ids.jsonl", row("one") + row("two")), "stop");
  expect(source.written).toBe(2);
  expect(await explain(out, "x")).toHaveLength(2);
});

test("rows of 100 MB pass through with their neighbours", async () => {
  const path = join(folder, "huge.jsonl");
  const stream = createWriteStream(path);
  const filler = "all work and no play ".repeat(50_000);
  stream.write(good(1));
  stream.write('{"prompt": "long", "completion": "');
  for (let i = 0; i < 100; i++) stream.write(filler);
  stream.write('"}\n');
  await new Promise<void>((resolve) => stream.end(good(2), resolve));
  expect(statSync(path).size).toBeGreaterThan(100 << 20);
  const { source, out } = await run("huge.jsonl", "stop");
  expect(source.written).toBe(3);
  const parquet = await withDatabase(async (db) =>
    (
      await db.runAndReadAll(
        `SELECT count(*)::INT AS n, max(length(messages[2].content))::INT AS longest FROM '${out}/train.parquet'`,
      )
    ).getRowObjectsJson(),
  );
  expect(parquet).toEqual([{ n: 3, longest: filler.length * 100 }]);
});

test("a preset names every source that is not there", () => {
  const sources = join(folder, "sources");
  mkdirSync(join(sources, "lima"), { recursive: true });
  writeFileSync(join(sources, "lima/train.jsonl"), `${JSON.stringify({ conversations: ["q", "a"] })}\n`);
  const options = { allowMissing: false, hasTokenizer: false };
  expect(() => tulu2Mixture(sources, options)).toThrow(
    /10 of 11 sources are not there: flan_v2.*oasst1.*hard_coded/,
  );
  expect(() => tulu2Mixture(join(folder, "nope"), options)).toThrow(/does not exist/);
  const { mixture, missing } = tulu2Mixture(sources, { ...options, allowMissing: true });
  expect([mixture.sources.map(({ name }) => name), missing.length]).toEqual([["lima"], 10]);
});

test("a source with fewer rows than its draw is an error unless that is allowed", async () => {
  const sources = join(folder, "few");
  mkdirSync(join(sources, "wizardlm"), { recursive: true });
  const row = {
    idx: "w",
    conversations: [
      { from: "human", value: "q" },
      { from: "gpt", value: "a" },
    ],
  };
  writeFileSync(join(sources, "wizardlm/WizardLM_evol_instruct_V2_143k.json"), JSON.stringify([row, row]));
  const { mixture } = tulu2Mixture(sources, { allowMissing: true, hasTokenizer: false });
  const options = { onBad: "stop", threads: 1 } as const;
  await expect(mix(mixture, { ...options, out: join(folder, "few-1"), allowFewer: false })).rejects.toThrow(
    /has 2 rows, the mixture draws 30000/,
  );
  const manifest = await mix(mixture, { ...options, out: join(folder, "few-2"), allowFewer: true });
  expect(manifest.sources[0]).toMatchObject({
    written: 2,
    notes: [expect.stringContaining("all were taken")],
  });
});
