import { expect, test } from "vitest";
import { expectClose } from "./fixtures/expect-close.js";
import * as torch from "./index.js";

const [heads, kvHeads, headDim, layers, blocks] = [4, 2, 12, 2, 9];

/** Earlier tokens through `paged_attention`, then one token of each row through both. */
function bothWays(positions: number[], { window = 0, padding = 0, garbage = 0 } = {}) {
  const slab = torch.full([blocks, layers, 2, kvHeads, 16 * 16], garbage);
  const tables = positions.map((position, r) =>
    Array.from({ length: Math.floor(position / 16) + 1 }, (_, i) => (3 * r + 2 * i + 1) % blocks),
  );
  const call = (rows: { count: number; position: number }[], into: torch.Tensor) => {
    const tokens = rows.reduce((sum, { count }) => sum + count, 0);
    const [query, key, value] = [heads, kvHeads, kvHeads].map((n) => torch.randn([tokens, n, headDim]));
    const counts = rows.flatMap(({ count, position }, r) => [count, position, tables[r]!.length]);
    const layout = torch.tensor(Int32Array.from(counts), { shape: [rows.length, 3] });
    const attended = torch.pagedAttention(
      ...[query!, key!, value!],
      [into],
      layout,
      torch.tensor(Int32Array.from(tables.flat())),
      1,
      window,
    );
    return { query: query!, key: key!, value: value!, attended };
  };
  call(
    positions.map((position) => ({ count: position, position: 0 })),
    slab,
  );
  const other = slab.clone();
  const { query, key, value, attended } = call(
    positions.map((position) => ({ count: 1, position })),
    slab,
  );
  const width = Math.max(...tables.map(({ length }) => length)) + padding;
  const fixed = torch.tensor(
    tables.map((table) => [...table, ...Array(width - table.length).fill(table[0])]),
    { dtype: "int64" },
  );
  const at = torch.tensor(positions, { dtype: "int64" });
  const decoded = torch.pagedDecode(query, key, value, other, fixed, at, 1, window);
  return { attended, decoded, slab, other };
}

test.each([
  ["rows of several lengths", [5, 33, 16], {}],
  ["a first token", [0], {}],
  ["longer tables than anybody needs", [17, 2], { padding: 3 }],
  ["a window", [40, 3], { window: 6 }],
  ["leftovers of earlier sequences in the blocks", [20, 1], { garbage: 1e4, padding: 2 }],
] as const)("%s: what attention over blocks gives, and the same in the blocks", (_, positions, options) => {
  using _scope = torch.tensorScope();
  torch.manualSeed(7);
  const { attended, decoded, slab, other } = bothWays([...positions], options);
  expectClose(decoded.toArray(), attended.toArray(), { relative: 1e-4, absolute: 1e-5 });
  expect(other.toArray()).toEqual(slab.toArray());
});

test("the host reads nothing", () => {
  using _ = torch.tensorScope();
  const make = (n: number) => torch.randn([2, n, headDim]);
  const slab = torch.zeros([blocks, layers, 2, kvHeads, 16 * 16]);
  const tables = torch.zeros([2, 4], { dtype: "int64" });
  const positions = torch.tensor([3, 9], { dtype: "int64" });
  const run = () => torch.pagedDecode(make(heads), make(kvHeads), make(kvHeads), slab, tables, positions, 0);
  expect(torch.withoutWaiting(run).shape).toEqual([2, heads, headDim]);
});

test("tables that do not fit the rows are refused", () => {
  using _ = torch.tensorScope();
  const make = (n: number) => torch.randn([2, n, headDim]);
  const slab = torch.zeros([blocks, layers, 2, kvHeads, 16 * 16]);
  const positions = torch.zeros([2], { dtype: "int64" });
  const tables = torch.zeros([3, 4], { dtype: "int64" });
  const run = () => torch.pagedDecode(make(heads), make(kvHeads), make(kvHeads), slab, tables, positions, 0);
  expect(run).toThrow("2 rows need tables");
});
