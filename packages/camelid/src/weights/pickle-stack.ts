import { damaged, type PickleValue } from "./pickle-values.js";

/** The machine's stack. Values below the last open mark belong to whoever set it and cannot be taken. */
export class PickleStack {
  readonly #values: PickleValue[] = [];
  /** Heights at each open mark. */
  readonly #marks: number[] = [];

  /** Values and marks. */
  get size(): number {
    return this.#values.length + this.#marks.length;
  }

  push(value: PickleValue): void {
    this.#values.push(value);
  }

  mark(): void {
    this.#marks.push(this.#values.length);
  }

  top(): PickleValue {
    this.#need(1);
    return this.#values.at(-1)!;
  }

  pop(): PickleValue {
    this.#need(1);
    return this.#values.pop()!;
  }

  popCount(count: number): PickleValue[] {
    this.#need(count);
    return this.#values.splice(this.#values.length - count);
  }

  /** Everything since the last mark, which is closed. */
  popMark(): PickleValue[] {
    const start = this.#marks.pop();
    if (start === undefined) throw damaged("a mark is missing");
    return this.#values.splice(start);
  }

  #need(count: number): void {
    if (this.#values.length - count < (this.#marks.at(-1) ?? 0))
      throw damaged("it takes a value that is not there");
  }
}
