// Which model answers: its name and version, and where it comes from.

const DIGEST_CHARS = 16;

const fact = (name, value) => {
  const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
  [term.textContent, detail.textContent] = [name, value];
  return [term, detail];
};

// The first characters tell digests apart; the rest is there for who points at it.
const digest = (name, value) => {
  const [term, detail] = fact(name, `${value.slice(0, DIGEST_CHARS)}…`);
  detail.title = value;
  return [term, detail];
};

const lineage = ({ licence, parents }) => [
  ...fact("licence", licence),
  ...Object.entries(parents).flatMap(([name, value]) => digest(`from ${name}`, value)),
];

export const showModel = (summary, list, model) => {
  summary.textContent = `${model.id} · version ${model.version}`;
  const [shortest, longest] = model.question_s;
  list.replaceChildren(
    ...digest("digest", model.digest),
    ...fact("voices", model.voices.join(", ")),
    ...fact("questions", `${shortest} to ${longest} s`),
    ...lineage(model.lineage),
  );
};
