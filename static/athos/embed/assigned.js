// What the rep was asked to practise, by a session token that this does not spend. The page does without it.

/** Writes it into each of these elements and shows them; hides them where there is nothing. */
export async function showAssigned(token, drill, places, signal) {
  let assignments = [];
  try {
    const response = await fetch(`/embed/v1/assignments?${new URLSearchParams({ drill })}`, {
      headers: { Authorization: `Bearer ${token}` },
      credentials: "omit",
      cache: "no-store",
      signal,
    });
    if (response.ok) ({ assignments } = await response.json());
  } catch {
    // no network, or the page went on: the call itself will say so
  }
  for (const place of places) {
    place.replaceChildren(...assignments.flatMap(lines));
    place.hidden = assignments.length === 0;
  }
}

function lines({ dueOn, passMark, focus, note, best, state }) {
  const day = new Date(`${dueOn}T00:00:00Z`).toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long", timeZone: "UTC" });
  const told = state === "late" ? `It was due on ${day}.` : `Due by the end of ${day}.`;
  const soFar = best === null ? "" : ` Your best so far: ${best}.`;
  return [
    line("strong", `Assigned: reach ${passMark} of 100. ${told}${soFar}`),
    ...(focus ? [line("p", `Work on: ${focus}`)] : []),
    ...note.split("\n").filter(Boolean).map((text) => line("p", text)),
  ];
}

function line(kind, text) {
  const element = document.createElement(kind);
  element.textContent = text;
  return element;
}
