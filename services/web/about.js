// Which model answers: its name and version, and where it comes from.

const fact = (name, value) => {
  const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
  [term.textContent, detail.textContent] = [name, value];
  return [term, detail];
};

const lineage = ({ licence, parents }) => [
  ...fact("licence", licence),
  ...Object.entries(parents).flatMap(([name, digest]) => fact(`from ${name}`, digest)),
];

export const showModel = (summary, list, model) => {
  summary.textContent = `${model.id} · version ${model.version}`;
  const [shortest, longest] = model.question_s;
  list.replaceChildren(
    ...fact("digest", model.digest),
    ...fact("voices", model.voices.join(", ")),
    ...fact("questions", `${shortest} to ${longest} s`),
    ...lineage(model.lineage),
  );
};
