/** Who may talk to the Studio, and what it never shows. No browser needed. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeRun } from "./generated.js";
import { isBuilt, type StudioProcess, startStudioProcess } from "./studio-process.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-studio-"));
const root = join(folder, "out");
let studio: StudioProcess;

/** With a Host and headers of its own, which `fetch` does not allow. */
function raw(
  path: string,
  headers: Record<string, string>,
  method = "GET",
): Promise<{ status: number; headers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(studio.origin);
    const asked = request({ host: "127.0.0.1", port, path, method, headers }, (response) => {
      response.resume();
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers }));
    });
    asked.on("error", reject);
    asked.end();
  });
}

describe.skipIf(!isBuilt)("the built server (npm run build)", () => {
  beforeAll(async () => {
    writeRun(join(root, "good"), { steps: 30, status: "completed" });
    mkdirSync(join(folder, "secret"));
    writeFileSync(
      join(folder, "secret", "rows.jsonl"),
      `${JSON.stringify({ messages: [{ role: "user", content: "SECRET" }] })}\n`,
    );
    symlinkSync(join(folder, "secret"), join(root, "link"));
    // A run whose files lead out of the root, and one whose settings name a file outside.
    writeRun(join(root, "sly"), {
      steps: 3,
      status: "completed",
      settings: { data: join(folder, "secret", "rows.jsonl") },
    });
    mkdirSync(join(root, "linked"));
    symlinkSync(join(folder, "secret", "rows.jsonl"), join(root, "linked", "rows.jsonl"));
    studio = await startStudioProcess(folder, join(folder, "cache"), [root]);
  });
  afterAll(async () => {
    await studio?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test("without the key nothing is answered", async () => {
    for (const path of ["/", "/api/catalog", "/assets/x.js"])
      expect((await fetch(`${studio.origin}${path}`)).status).toBe(401);
    expect((await fetch(`${studio.origin}/?token=wrong`)).status).toBe(401);
  });

  test("the key leaves the address for a cookie that scripts and other sites do not get", async () => {
    const answer = await fetch(studio.url, { redirect: "manual" });
    expect(answer.status).toBe(303);
    expect(answer.headers.get("location")).toBe("/");
    expect(answer.headers.get("set-cookie")).toMatch(/HttpOnly.*SameSite=Strict|SameSite=Strict.*HttpOnly/i);
  });

  test("another name for this address is refused: no DNS rebinding", async () => {
    const token = new URL(studio.url).search;
    for (const host of ["evil.example", `evil.example:${new URL(studio.origin).port}`, "127.0.0.1"]) {
      expect((await raw(`/${token}`, { host })).status).toBe(421);
    }
  });

  test("a post of another site changes nothing", async () => {
    const body = JSON.stringify({ sql: "SELECT 1" });
    const post = (headers: Record<string, string>) =>
      studio.fetch("/api/preferences/export", { method: "POST", body, headers });
    expect((await post({ origin: "http://evil.example" })).status).toBe(403);
    expect((await post({ origin: "null" })).status).toBe(403);
    expect((await post({ "sec-fetch-site": "cross-site" })).status).toBe(403);
    expect((await post({ "content-type": "text/plain" })).status).toBe(415);
    expect((await post({})).status).toBe(422); // ours: it only has no votes yet
  });

  test("scripts come from the server alone, and no page may frame it", async () => {
    const answer = await studio.fetch("/");
    const policy = answer.headers.get("content-security-policy")!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).not.toContain("unsafe-inline");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(await answer.text()).not.toMatch(/https?:\/\//);
  });

  test("a report runs in a box of its own, without the Studio's rights", async () => {
    const answer = await studio.fetch(`/api/runs/${encodeURIComponent("out/good")}/report.html`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-security-policy")).toMatch(
      /^sandbox allow-scripts; default-src 'none'/,
    );
    expect(await answer.text()).toContain("&lt;img src=x");
  });

  test("nothing outside the roots is served", async () => {
    const catalog = await (await studio.fetch("/api/catalog")).text();
    expect(catalog).not.toContain("link/rows.jsonl");
    expect(catalog).not.toContain("linked/rows.jsonl");
    const ways = [
      "out/../secret/rows.jsonl",
      "out/link/rows.jsonl",
      "out/linked/rows.jsonl",
      "secret/rows.jsonl",
      "/etc/passwd",
      "out/%2e%2e/secret/rows.jsonl",
    ];
    for (const way of ways) {
      for (const path of [
        `/api/data/${encodeURIComponent(way)}/rows`,
        `/api/data/${encodeURIComponent(way)}/rows/0`,
        `/api/runs/${encodeURIComponent(way)}`,
      ]) {
        const answer = await studio.fetch(path);
        expect(answer.status, `${path}`).toBe(404);
        expect(await answer.text()).not.toContain("SECRET");
      }
    }
    expect((await studio.fetch("/../../package.json")).status).toBe(404);
  });

  test("a run that names data outside the roots shows its steps without rows", async () => {
    const asked = await studio.fetch(`/api/runs/${encodeURIComponent("out/sly")}/steps/2`);
    const answer = (await asked.json()) as { notes: string[]; rows: unknown[] };
    expect(JSON.stringify(answer)).not.toContain("SECRET");
    expect(answer.notes.join(" ")).toContain("outside the folders");
    expect(answer.rows).toHaveLength(4);
  });

  test("SQL reads the rows of its file and nothing else", async () => {
    writeFileSync(
      join(root, "rows.jsonl"),
      `${JSON.stringify({ dataset: "d", id: "1", messages: [{ role: "user", content: "hi" }] })}\n`,
    );
    const ask = async (sql: string) => {
      const answer = await studio.fetch(`/api/data/${encodeURIComponent("out/rows.jsonl")}/sql`, {
        method: "POST",
        body: JSON.stringify({ sql }),
      });
      return { status: answer.status, text: await answer.text() };
    };
    expect(await ask("SELECT count(*) AS n FROM rows")).toMatchObject({ status: 200 });
    const secret = join(folder, "secret", "rows.jsonl");
    const attacks = [
      `SELECT * FROM read_text('${secret}')`,
      `SELECT * FROM read_json('${secret}')`,
      `SELECT * FROM '${secret}'`,
      `SELECT * FROM glob('${folder}/*')`,
      `COPY rows TO '${join(folder, "stolen.csv")}'`,
      `ATTACH '${join(folder, "x.db")}'`,
      "SET enable_external_access = true",
      "INSTALL httpfs",
      "CREATE TABLE more AS SELECT 1",
      "SELECT 1; SELECT 2",
    ];
    for (const attack of attacks) {
      const { status, text } = await ask(attack);
      expect(status, attack).toBe(422);
      expect(text).not.toContain("SECRET");
    }
  });

  test("ids and bodies that make no sense are answered, and the server goes on", async () => {
    for (const path of [
      "/api/runs/%00",
      "/api/runs/out%2Fgood/steps/NaN",
      "/api/runs/out%2Fgood/series?points=-5&from=abc",
      "/api/evals/out%2Fgood",
      "/api/data/out%2Fgood",
    ]) {
      expect((await studio.fetch(path)).status, path).toBeLessThan(500);
    }
    const bad = await studio.fetch("/api/answers", { method: "POST", body: "{" });
    expect(bad.status).toBe(400);
    expect((await studio.fetch("/api/catalog")).status).toBe(200);
  });

  test("only files of rows are given out, whatever else lies in the folders", async () => {
    writeFileSync(join(root, "notes.json"), JSON.stringify({ prompt: "SECRET" }));
    for (const path of [
      "/api/preferences/prompt?data=out%2Fnotes.json",
      "/api/data/out%2Fnotes.json/rows/0",
    ]) {
      const answer = await studio.fetch(path);
      expect(answer.status).toBe(404);
      expect(await answer.text()).not.toContain("SECRET");
    }
  });

  test("a vote needs a round that was played", async () => {
    const body = JSON.stringify({ round: "made-up", choice: "left" });
    expect((await studio.fetch("/api/preferences/votes", { method: "POST", body })).status).toBe(404);
  });
});
