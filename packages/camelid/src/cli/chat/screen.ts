/** Shows answers as they grow: one model's text runs on; several stand in columns that are drawn again. */
import type { WriteStream } from "node:tty";
import { sideBySide } from "./columns.js";
import { withoutControls } from "./without-controls.js";

export interface AnswerView {
  /** The whole text of one model so far. */
  update(speaker: number, text: string): void;
  end(): void;
}

/** Columns are drawn again at most so often. Milliseconds. */
const PAUSE = 60;

/** Where only one model speaks, or nothing can be drawn again (a pipe): its text as it comes. */
export function runningView(write: (text: string) => void): AnswerView {
  let shown = 0;
  return {
    update(_, text) {
      write(text.slice(shown));
      shown = text.length;
    },
    end: () => write("\n"),
  };
}

/** Several models on a terminal. What is taller than the screen shows its end while it grows, and all of it at last. */
export function columnsView(terminal: WriteStream, names: readonly string[]): AnswerView {
  const texts = names.map(() => "");
  let drawn = 0;
  let last = 0;
  const draw = (isEnd: boolean): void => {
    const all = sideBySide(
      texts.map((text, i) => `${names[i]}\n${withoutControls(text.trim())}`),
      terminal.columns ?? 80,
    );
    const lines = isEnd ? all : all.slice(-Math.max(1, (terminal.rows ?? 24) - 2));
    const up = drawn > 0 ? `\x1b[${drawn}A` : "";
    terminal.write(`${up}\x1b[0J${lines.join("\n")}\n`);
    drawn = lines.length;
    last = performance.now();
  };
  return {
    update(speaker, text) {
      texts[speaker] = text;
      if (performance.now() - last > PAUSE) draw(false);
    },
    end: () => draw(true),
  };
}

/** Several models through a pipe: one after the other, when all are done. */
export function blocksView(write: (text: string) => void, names: readonly string[]): AnswerView {
  const texts = names.map(() => "");
  return {
    update(speaker, text) {
      texts[speaker] = text;
    },
    end: () => write(texts.map((text, i) => `${names[i]}:\n${text.trim()}\n`).join("\n")),
  };
}
