// Times come in UTC; show them in the reader's own zone, also those of fragments that come later.
const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function localize(within) {
  for (const time of within.querySelectorAll("time[datetime]:not([title])")) {
    time.title = time.textContent.trim();
    time.textContent = format.format(new Date(time.dateTime));
  }
}

localize(document);
document.addEventListener("htmx:load", (event) => localize(event.target));
