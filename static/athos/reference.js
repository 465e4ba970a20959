// Lays out the API reference from the document that machines read too. The nonce lets Redoc's own
// style sheets in; a script's `nonce` is readable only as a property.
const place = document.getElementById("reference");
const nonce = document.querySelector("script[nonce]").nonce;

window.Redoc.init(
  place.dataset.document,
  {
    nonce,
    disableSearch: true, // its index is made by a worker from a blob, which our policy refuses
    hideDownloadButton: false,
    nativeScrollbars: true,
    requiredPropsFirst: false,
    sortTagsAlphabetically: false,
    expandResponses: "200,201,202",
    jsonSamplesExpandLevel: 3,
    schemasExpansionLevel: 1,
    sectionsAtTop: [],
    theme: {
      colors: { primary: { main: "#4338ca" } },
      typography: {
        fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
        headings: {
          fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
        },
        code: { fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" },
      },
    },
  },
  place,
);
