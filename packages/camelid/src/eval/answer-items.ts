/** Asks everything about every item, round by round, until nothing is left to ask. */
import { createHash } from "node:crypto";
import { HubError } from "../errors.js";
import type { AnswerStore } from "./answer-store.js";
import type { Asked, Backend, Outcome, Refusal } from "./backend.js";
import { keyOf } from "./canonical.js";
import type { Answer, Task, TaskContext, TaskItem, TaskRequest } from "./task.js";

/** An answerer and where its answers are kept. */
export interface Answerer {
  backend: Backend;
  store: AnswerStore;
}

/** An item on its way. */
export interface ItemState<Item extends TaskItem = TaskItem> {
  readonly item: Item;
  readonly requests: TaskRequest[];
  readonly answers: Answer[];
  /** All rounds are through, or one was refused; false only after an abort. */
  complete: boolean;
  refusal: Refusal | undefined;
  /** The prompt did not fit and the paper's profile took that as an empty answer. */
  promptTooLong: boolean;
}

export interface AnswerOptions {
  /** First seed of sampled answers. */
  seed: number;
  answerer(role: string): Promise<Answerer>;
  /** Requests answered so far and known so far, over all rounds. */
  onProgress?(answered: number, asked: number): void;
}

interface Pending<Item extends TaskItem> {
  state: ItemState<Item>;
  /** Place among the answers of this item. */
  slot: number;
  asked: Asked;
}

/** @returns one state per item, in order */
export async function answerItems<Item extends TaskItem>(
  task: Task<Item>,
  items: readonly Item[],
  context: TaskContext,
  options: AnswerOptions,
): Promise<ItemState<Item>[]> {
  const states = items.map(
    (item): ItemState<Item> => ({
      item,
      requests: [],
      answers: [],
      complete: false,
      refusal: undefined,
      promptTooLong: false,
    }),
  );
  const progress = { answered: 0, asked: 0 };
  let open = states;
  while (open.length > 0 && !context.signal.aborted) {
    const pending = await nextRound(task, open, context, options.seed);
    progress.asked += pending.length;
    const roles = new Map<string, Pending<Item>[]>();
    for (const one of pending) {
      const role = one.asked.request.to ?? "model";
      const same = roles.get(role);
      if (same === undefined) roles.set(role, [one]);
      else same.push(one);
    }
    for (const [role, some] of roles) {
      await askRole(await options.answerer(role), some, context, () => {
        progress.answered++;
        options.onProgress?.(progress.answered, progress.asked);
      });
    }
    open = open.filter((state) => !state.complete && answeredFully(state));
  }
  return states;
}

async function nextRound<Item extends TaskItem>(
  task: Task<Item>,
  open: readonly ItemState<Item>[],
  context: TaskContext,
  seed: number,
): Promise<Pending<Item>[]> {
  const pending: Pending<Item>[] = [];
  for (let at = 0; at < open.length; at += TOGETHER) {
    const some = open.slice(at, at + TOGETHER);
    // Tasks may count tokens here; the library encodes several prompts at once.
    const asked = await Promise.all(some.map((state) => task.requests(state.item, state.answers, context)));
    for (const [i, state] of some.entries()) addRequests(state, asked[i]!, task, seed, pending);
  }
  return pending;
}

const TOGETHER = 256;

function addRequests<Item extends TaskItem>(
  state: ItemState<Item>,
  requests: readonly TaskRequest[],
  task: Task<Item>,
  seed: number,
  pending: Pending<Item>[],
): void {
  if (requests.length === 0) state.complete = true;
  for (const request of requests) {
    const slot = state.requests.push(request) - 1;
    const asked: Asked = {
      request,
      seed: seedOf(seed, task.name, state.item.id, slot),
      where: `${task.name} ${state.item.id}`,
    };
    pending.push({ state, slot, asked });
  }
}

async function askRole<Item extends TaskItem>(
  { backend, store }: Answerer,
  pending: readonly Pending<Item>[],
  context: TaskContext,
  onAnswered: () => void,
): Promise<void> {
  const keys = await keysOf(
    backend,
    pending.map(({ asked }) => asked),
  );
  const waiting = new Map<string, Pending<Item>[]>();
  let failures = 0;
  const settle = ({ state, slot, asked }: Pending<Item>, outcome: Outcome) => {
    if ("answer" in outcome) state.answers[slot] = outcome.answer;
    else {
      const { reason, message } = outcome.refused;
      if (store.isEmpty && reason === "failed" && ++failures >= FAILURES_AT_FIRST)
        throw nothingAnswered(backend.name, failures, message);
      refuse(state, slot, asked.request, outcome.refused, context);
    }
    onAnswered();
  };
  for (const [i, one] of pending.entries()) {
    const key = keys[i]!;
    const known = store.get(key);
    const same = waiting.get(key);
    if (known !== undefined) settle(one, { answer: known as never });
    else if (same === undefined) waiting.set(key, [one]);
    else same.push(one); // the same question twice is asked once
  }
  const order = [...waiting];
  if (order.length === 0) return;
  await backend.ask(
    order.map(([, [first]]) => first!.asked),
    (index, outcome) => {
      const [key, same] = order[index]!;
      if ("answer" in outcome) store.put(key, outcome.answer);
      for (const one of same) settle(one, outcome);
    },
    context.signal,
  );
}

/** So many failures before any answer are no items' own: a field that the endpoint does not know, a model that it does not have. */
const FAILURES_AT_FIRST = 10;

function nothingAnswered(name: string, failures: number, message: string): HubError {
  return new HubError("ERR_ENDPOINT", `nothing was answered: the first ${failures} requests failed.`, {
    where: `${name}; the last of them: ${message}`,
    fix: "ask it one such question by hand; address, model name, kind of API and decoding settings are what usually differs.",
  });
}

/** Keys are kept from one store to the next by what was asked; the answerer's identity is part of them. */
async function keysOf(backend: Backend, batch: readonly Asked[]): Promise<string[]> {
  const keys = await backend.keys?.(batch);
  return batch.map(({ request, seed }, i) => {
    const sampled = request.kind === "generate" && (request.temperature ?? 0) > 0;
    return keyOf([backend.identity, keys?.[i] ?? { request, ...(sampled ? { seed } : {}) }]);
  });
}

function refuse<Item extends TaskItem>(
  state: ItemState<Item>,
  slot: number,
  request: TaskRequest,
  refusal: Refusal,
  { profile }: TaskContext,
): void {
  // The paper's engines returned nothing for a prompt that did not fit, and that was graded.
  const toModel = (request.to ?? "model") === "model";
  if (
    refusal.reason === "prompt-too-long" &&
    profile === "tulu2-paper" &&
    request.kind === "generate" &&
    toModel
  ) {
    state.promptTooLong = true;
    state.answers[slot] = { kind: "generate", samples: [{ text: "", finishReason: "length", tokens: 0 }] };
    return;
  }
  state.refusal = refusal;
  state.complete = true;
}

function answeredFully({ requests, answers }: ItemState): boolean {
  return requests.every((_, slot) => answers[slot] !== undefined);
}

/** Depends on the item alone, not on its neighbours or the order of work. Below 2^48, so that samples can count on. */
function seedOf(seed: number, task: string, id: string, slot: number): number {
  const hash = createHash("sha256").update(`${seed} ${task} ${id} ${slot}`).digest();
  return hash.readUIntBE(0, 6);
}
