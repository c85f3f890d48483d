import { Hono } from "hono";
import { z } from "zod";
import type { Answerer } from "../answers/answerer.js";
import { Decoding, lines, Messages } from "../answers/routes.js";
import type { VotesReply } from "../api.js";
import type { StudioContext } from "../context.js";
import { rowsOf } from "../rows/rows-of.js";
import { tokenizerFolder } from "../runs/step.js";
import { Arena } from "./arena.js";
import { exportPairs, pairOfVote } from "./export-pairs.js";
import { pairings } from "./pairings.js";
import { randomPrompt } from "./random-prompt.js";
import { studioFolder, VoteFile } from "./vote-file.js";

const Round = z.strictObject({ models: z.tuple([z.string(), z.string()]), messages: Messages, ...Decoding });
const VoteBody = z.strictObject({ round: z.string(), choice: z.enum(["left", "right", "tie", "both-bad"]) });

/** Votes shown; all of them count. */
const LISTED = 500;

export function preferenceRoutes(studio: StudioContext, answerer: Answerer): Hono {
  const routes = new Hono();
  const folder = studioFolder(studio.roots.roots[0]!.path);
  const file = new VoteFile(folder);
  const arena = new Arena(answerer, file, (model) => {
    const place = studio.folder(model);
    return { folder: place, tokenizer: tokenizerFolder(studio, place) };
  });

  routes.get("/", (context) => {
    const { votes, broken } = file.read();
    const answer: VotesReply = {
      votes: votes.slice(-LISTED).reverse(),
      pairings: pairings(votes),
      pairs: votes.filter((vote) => pairOfVote(vote) !== undefined).length,
      notes: broken === 0 ? [] : [`${broken} lines of votes.jsonl could not be read and were passed over.`],
      file: file.path,
    };
    return context.json(answer);
  });

  routes.get("/prompt", async (context) => {
    const { file: rows } = rowsOf(studio, context.req.query("data") ?? "");
    return context.json(randomPrompt(await studio.rowFile(rows)));
  });

  routes.post("/rounds", async (context) => {
    const round = Round.parse(await context.req.json());
    for (const model of round.models) studio.folder(model);
    return lines(context, (signal) => arena.play(round, signal));
  });

  routes.post("/votes", async (context) => {
    const { round, choice } = VoteBody.parse(await context.req.json());
    return context.json(arena.vote(round, choice));
  });

  routes.post("/export", (context) => {
    const written = exportPairs(folder, file.read().votes);
    studio.forget();
    return context.json({ ...written, id: studio.roots.idOf(studio.roots.inside(written.path)!) });
  });

  return routes;
}
