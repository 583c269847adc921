package e2e

// basics lists what is wrong with the page for who does not see it, or has no mouse.
const basics = `(() => {
	const wrong = [], all = (s, in_ = document) => Array.from(in_.querySelectorAll(s));
	const say = (what, e) => wrong.push(what + ": " + (e?.outerHTML ?? "").slice(0, 120));
	const shown = e => e.checkVisibility() || e.closest(".hidden");
	const named = e => (e.ariaLabel ?? "").trim() || all("#" + (e.getAttribute("aria-labelledby") || "none-such").split(" ").join(", #")).map(l => l.textContent).join("").trim();
	if (!document.documentElement.lang) say("no language");
	if (!document.title) say("no title");
	if (all("h1").length !== 1) say("not one h1");
	for (const landmark of ["header", "main", "footer"]) if (all(landmark).length !== 1) say("not one " + landmark);
	let level = 0;
	for (const h of all("h1, h2, h3, h4").filter(shown)) {
		const n = Number(h.tagName[1]);
		if (n > level + 1) say("a heading is left out before", h);
		if (!h.textContent.trim()) say("an empty heading", h);
		level = n;
	}
	for (const s of all("section")) if (!named(s)) say("a section without a name", s);
	for (const i of all("input, select, textarea").filter(shown)) if (!i.labels?.length && !named(i)) say("no label", i);
	for (const b of all("button, summary").filter(shown)) if (!b.textContent.trim() && !named(b)) say("no name", b);
	for (const i of all("img, [role=img], progress, [role=region], dialog[open]")) if (!named(i) && !i.alt) say("no name", i);
	for (const t of all("table")) {
		if (!t.caption?.textContent.trim()) say("no caption", t);
		for (const h of all("th", t)) {
			if (!h.scope) say("a header of what", h);
			if (!h.textContent.trim()) say("an empty header", h);
		}
	}
	const ids = all("[id]").map(e => e.id);
	for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) say("twice the id " + id);
	for (const e of all("[aria-labelledby], [aria-describedby], label[for]"))
		for (const id of [e.getAttribute("aria-labelledby"), e.getAttribute("aria-describedby"), e.getAttribute("for")].filter(Boolean))
			if (!document.getElementById(id)) say("refers to nothing", e);
	for (const e of all("[tabindex]")) if (e.tabIndex > 0) say("jumps the order of focus", e);
	for (const s of all(".scroll").filter(shown)) if (s.scrollWidth > s.clientWidth + 1 && s.tabIndex !== 0) say("scrolls, and not by the keyboard", s);
	for (const b of all("button, input, select, summary").filter(shown)) {
		const {width, height} = b.getBoundingClientRect();
		if (width < 24 && height < 24) say("too small to hit", b);
	}
	return wrong.join("\n");
})()`

// contrasts defines faint(ratio): the texts that stand out less than that from what is
// behind them.
const contrasts = `
	var pen = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d", {willReadFrequently: true});
	var rgba = colour => {
		pen.clearRect(0, 0, 1, 1);
		pen.fillStyle = colour;
		pen.fillRect(0, 0, 1, 1);
		return Array.from(pen.getImageData(0, 0, 1, 1).data);
	};
	var luminance = colour => {
		const [r, g, b] = rgba(colour).map(x => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	var behind = e => {
		for (; e; e = e.parentElement) {
			const colour = getComputedStyle(e).backgroundColor;
			if (rgba(colour)[3] === 255) return colour;
		}
		return "white";
	};
	var faint = ratio => {
		const found = [];
		const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		while (texts.nextNode()) {
			const e = texts.currentNode.parentElement;
			if (!texts.currentNode.textContent.trim() || !e.checkVisibility() || e.closest(".hidden, :disabled, script, noscript, option")) continue;
			const [low, high] = [luminance(getComputedStyle(e).color), luminance(behind(e))].sort((a, b) => a - b);
			if ((high + 0.05) / (low + 0.05) < ratio) found.push(e.tagName + " " + e.textContent.slice(0, 30) + " " + ((high + 0.05) / (low + 0.05)).toFixed(2));
		}
		return found.join("\n");
	}`
