/** Rows of 64 to 512 tokens, the last two thirds of each trained, as many as fill the budget. Same arguments, same rows. */
export function madeRows(tokens, vocabSize) {
  const rows = [];
  for (let left = tokens; left > 0; ) {
    const length = Math.min(left, 64 + ((rows.length * 149) % 449));
    const inputIds = Int32Array.from(
      { length },
      (_, i) => 3 + ((i * 7919 + rows.length * 31) % (vocabSize - 3)),
    );
    rows.push({ inputIds, labels: inputIds.map((id, i) => (i < length / 3 ? -100 : id)), dataset: "made" });
    left -= length;
  }
  return rows;
}
