/** @param p 0.5 is the median: the middle one, the lower of two */
export function percentile(numbers, p) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? Number.NaN;
}

export const median = (numbers) => percentile(numbers, 0.5);
