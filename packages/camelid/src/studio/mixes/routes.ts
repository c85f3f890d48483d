import { statSync } from "node:fs";
import { join } from "node:path";
import { Hono } from "hono";
import { z } from "zod";
import type { RowsOverview, RowsReply } from "../api.js";
import type { StudioContext } from "../context.js";
import { NotFound } from "../failures.js";
import { idOf, wholeNumber } from "../query.js";
import { firstRowKind } from "../rows/first-row-kind.js";
import { Keep } from "../rows/keep.js";
import { recordOf } from "../rows/record.js";
import { preview, rowView } from "../rows/row-view.js";
import { rowsOf } from "../rows/rows-of.js";
import { stemOf, tokenizerFolder } from "../runs/step.js";
import { askSql } from "./ask-sql.js";
import { mixDetail } from "./detail.js";
import { RowLists, type RowsQuestion } from "./list-rows.js";
import { originOf } from "./origin.js";
import { rowsOverview } from "./overview.js";
import { RowTable } from "./row-table.js";

const SORTS = ["place", "chars", "turns", "dataset", "id"] as const;
const Sql = z.strictObject({ sql: z.string().max(20_000) });

/** Mixtures, and plain files of rows: an id names a mixture's folder or a file. */
export function dataRoutes(studio: StudioContext): Hono {
  const routes = new Hono();
  const tables = new Keep<RowLists>(6);

  const listsOf = (id: string): { file: string; lists: RowLists } => {
    const { file, lineage } = rowsOf(studio, id);
    const { size, mtimeMs } = statSync(file);
    const key = `${file} ${size} ${mtimeMs}`;
    return {
      file,
      lists: tables.get(key, () => new RowLists(new RowTable(file, lineage), () => studio.rowFile(file))),
    };
  };

  routes.get("/:id", (context) => context.json(mixDetail(studio.folder(idOf(context)), idOf(context))));

  routes.get("/:id/overview", async (context) => {
    const { file, lists } = listsOf(idOf(context));
    const { table } = lists;
    const kind = firstRowKind(file);
    if (table.state.kind !== "ready") await Promise.race([table.ready, pause(300)]);
    const { state } = table;
    const none = { datasets: [], lengths: null, tables: [] };
    const answer: RowsOverview = {
      state,
      kind,
      ...(state.kind === "ready" ? await rowsOverview(table) : none),
    };
    return context.json(answer);
  });

  routes.get("/:id/rows", async (context) => {
    const started = performance.now();
    const { file, lists } = listsOf(idOf(context));
    const question: RowsQuestion = {
      dataset: context.req.query("dataset") ?? "",
      words: (context.req.query("words") ?? "").slice(0, 500),
      sort: SORTS.find((sort) => sort === context.req.query("sort")) ?? "place",
      descending: context.req.query("order") === "desc",
      offset: wholeNumber(context, "offset", 0, [0, 1e9]),
      limit: wholeNumber(context, "limit", 100, [1, 500]),
    };
    const { table } = lists;
    const { offset } = question;
    if (table.state.kind === "reading") await Promise.race([table.ready, pause(100)]);
    if (table.state.kind === "reading") {
      // The first rows can be read while the table is being made.
      const rows =
        question.dataset === "" && question.words === "" && question.sort === "place"
          ? await firstRows(file, question)
          : [];
      const answer: RowsReply = {
        state: table.state,
        total: null,
        offset,
        rows,
        partial: true,
        ms: performance.now() - started,
      };
      return context.json(answer);
    }
    const page = await lists.page(question);
    const answer: RowsReply = {
      state: table.state,
      ...page,
      offset,
      ms: performance.now() - started,
    };
    return context.json(answer);
  });

  const firstRows = async (file: string, { offset, limit }: RowsQuestion) => {
    if (statSync(file).size > 64 << 20 && offset > 0) return [];
    const rows = statSync(file).size > 64 << 20 ? undefined : await studio.rowFile(file);
    if (rows === undefined) return [];
    const places = Array.from(
      { length: Math.min(limit, Math.max(0, rows.count - offset)) },
      (_, i) => offset + i,
    );
    return places.map((place) => {
      const record = recordOf(rows.row(place) ?? "");
      return {
        place,
        dataset: String(record.dataset ?? ""),
        id: String(record.id ?? ""),
        preview: preview(record),
        turns: null,
        chars: null,
      };
    });
  };

  routes.get("/:id/rows/:place", async (context) => {
    const { file, lists } = listsOf(idOf(context));
    const place = Number(context.req.param("place"));
    const text = (await studio.rowFile(file)).row(place);
    if (text === undefined) throw new NotFound(`the file has no row ${place + 1}.`);
    const model = context.req.query("model");
    const tokenizer =
      model === undefined || model === ""
        ? undefined
        : await studio.tokenizer(tokenizerFolder(studio, studio.folder(model)));
    const most = wholeNumber(context, "maxSeqLen", 0, [0, 1e6]);
    const view = await rowView(
      text,
      { file, stem: stemOf(file), place },
      tokenizer,
      most > 0 ? { maxSeqLen: most } : {},
    );
    return context.json({ ...view, origin: await originOf(lists.table, place) });
  });

  routes.post("/:id/sql", async (context) => {
    const { sql } = Sql.parse(await context.req.json());
    return context.json(await askSql(listsOf(idOf(context)).lists.table, sql));
  });

  routes.get("/:id/report.html", async (context) => {
    const report = studio.fileIn(studio.folder(idOf(context)), "report.html");
    if (report === undefined) throw new NotFound("the mixture has no report.");
    const { readFile } = await import("node:fs/promises");
    context.header(
      "content-security-policy",
      "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:",
    );
    return context.html(await readFile(join(report), "utf8"));
  });

  return routes;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
