import { type Catalog, get, type VotesReply } from "../api.ts";
import { bytes, count, splitId } from "../format.ts";
import { useLoad } from "../hooks.ts";
import { Failure, Page, Tabs } from "../parts/blocks.tsx";
import { link, type Route } from "../router.tsx";
import { Arena } from "./arena.tsx";
import { Votes } from "./votes.tsx";

/** Compare answers, and train on what was preferred. */
export function PreferencesView({
  route,
  catalog,
  reload,
}: {
  route: Route;
  catalog: Catalog;
  reload: () => void;
}) {
  const tab = route.query.get("tab") ?? "arena";
  const votes = useLoad("votes", (signal) => get<VotesReply>("preferences", {}, signal));
  const pairs = [
    ...catalog.mixes
      .filter(({ kind }) => kind === "pairs")
      .map(({ id, rows }) => ({ id, size: `${count(rows)} pairs` })),
    ...catalog.files
      .filter(({ kind }) => kind === "pairs")
      .map(({ id, sizeBytes }) => ({ id, size: bytes(sizeBytes) })),
  ];
  const tabs = [
    { key: "arena", name: "Arena", href: link("preferences") },
    {
      key: "votes",
      name: "Votes and win rates",
      count: votes.value?.votes.length,
      href: link("preferences", "", { tab: "votes" }),
    },
    { key: "pairs", name: "Pairs", count: pairs.length, href: link("preferences", "", { tab: "pairs" }) },
  ];
  return (
    <Page
      title="Preferences"
      lead="Two models answer, you say which is better, and the next one is trained on what you said."
    >
      <Tabs label="What to see" tabs={tabs} current={tab} />
      {votes.error && <Failure of={votes.error} />}
      {tab === "arena" && <Arena catalog={catalog} route={route} onVote={votes.reload} votes={votes.value} />}
      {tab === "votes" && votes.value && <Votes of={votes.value} reload={reload} />}
      {tab === "pairs" && <PairFiles pairs={pairs} />}
    </Page>
  );
}

function PairFiles({ pairs }: { pairs: { id: string; size: string }[] }) {
  if (pairs.length === 0)
    return (
      <p class="empty">
        No file of pairs in these folders. Vote in the arena and export, or mix one from published
        preferences.
      </p>
    );
  return (
    <div class="scroll">
      <table class="wide">
        <tbody>
          {pairs.map(({ id, size }) => (
            <tr key={id}>
              <td>
                <a href={link("data", id, { tab: "rows" })}>{splitId(id).name}</a>{" "}
                <small class="soft">{splitId(id).folder}</small>
              </td>
              <td class="num soft">{size}</td>
              <td class="num">
                <a href={link("train", "", { recipe: "dpo", data: id })}>train on it</a>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
