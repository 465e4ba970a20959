// Saves a search as a file and tells how far it is. Without this the link is a plain download.
const NEWLINE = 0x0a; // ends a row

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-export]");
  if (!link) return;
  event.preventDefault();
  save(link.href, document.querySelector("[data-export-progress]"));
});

async function save(address, box) {
  const stopping = new AbortController();
  const words = box.querySelector("[data-export-words]");
  const bar = box.querySelector("progress");
  const stop = box.querySelector("[data-export-stop]");
  stop.onclick = () => stopping.abort();
  box.hidden = false;
  stop.hidden = bar.hidden = false;
  words.textContent = "Exporting …";
  try {
    const answer = await fetch(address, { signal: stopping.signal });
    if (!answer.ok) throw new Error(answer.status === 503 ? await answer.text() : "The export did not work. Try again.");
    const cut = answer.headers.get("X-Athos-Rows-Cut") === "1";
    const { parts, rows } = await read(answer, (row, of) => {
      words.textContent = `Exporting: ${row.toLocaleString()} of at most ${of.toLocaleString()} calls`;
      bar.max = of || 1;
      bar.value = row;
    });
    download(new Blob(parts, { type: "text/csv" }));
    words.textContent = `${rows.toLocaleString()} calls are in athos-calls.csv.${cut ? " There are more: choose fewer days for the rest." : ""}`;
  } catch (cause) {
    words.textContent = cause.name === "AbortError" ? "Stopped. Nothing was saved." : cause.message;
  }
  stop.hidden = bar.hidden = true;
}

async function read(answer, tell) {
  const most = Number(answer.headers.get("X-Athos-Rows-At-Most"));
  const parts = [];
  let rows = -1; // the first line is the header
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) return { parts, rows };
    parts.push(value);
    for (const byte of value) if (byte === NEWLINE) rows += 1;
    tell(Math.max(rows, 0), most);
  }
}

function download(file) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = "athos-calls.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
