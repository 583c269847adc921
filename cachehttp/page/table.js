// Tables. Data reaches the page as text nodes and in no other way.

export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export const $ = id => document.getElementById(id);

// keyed makes the children of parent those of items, in order. A child stays the same
// node as long as its key does, so focus, hover and selection outlive an update. Of
// items with one key each has its own node.
export function keyed(parent, items, key, make, update) {
  const old = new Map(Array.from(parent.children, node => [node.dataset.key, node]));
  const seen = new Map();
  let at = parent.firstElementChild;
  items.forEach((item, i) => {
    let k = String(key(item, i));
    const nth = seen.get(k) ?? 0;
    seen.set(k, nth + 1);
    if (nth > 0) k = nth + ' ' + k;
    let node = old.get(k);
    old.delete(k);
    if (!node) {
      node = make(item);
      node.dataset.key = k;
    }
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
    update(node, item);
  });
  for (const node of old.values()) node.remove();
}

// Table shows one row for each item. A column has a title, and text(item) or
// fill(cell, item); head makes its cells headers of their rows, num aligns figures,
// sort(item) makes it sortable.
export class Table {
  constructor(table, caption, columns, {key, empty, sort = null, descending = true}) {
    Object.assign(this, {columns, key, empty, sort, descending, items: []});
    this.heads = columns.map((c, i) => this.#head(c, i));
    this.body = el('tbody');
    table.append(el('caption', {class: 'hidden'}, caption), el('thead', {}, el('tr', {}, ...this.heads)), this.body);
    this.#mark();
  }

  #head(column, i) {
    const th = el('th', {scope: 'col'});
    if (column.num) th.classList.add('num');
    if (!column.sort) {
      if (column.title) th.append(column.title);
      else th.append(el('span', {class: 'hidden'}, column.label));
      return th;
    }
    const button = el('button', {type: 'button'}, column.title);
    button.addEventListener('click', () => {
      this.descending = this.sort === i ? !this.descending : column.num === true;
      this.sort = i;
      this.#mark();
      this.update(this.items);
    });
    th.append(button);
    return th;
  }

  #mark() {
    this.heads.forEach((th, i) => {
      if (this.columns[i].sort) th.setAttribute('aria-sort', this.sort !== i ? 'none' : this.descending ? 'descending' : 'ascending');
    });
  }

  update(items) {
    this.items = items;
    if (items.length === 0) {
      const cell = el('td', {colspan: this.columns.length, class: 'quiet'}, this.empty);
      const row = el('tr', {}, cell);
      row.dataset.key = '';
      this.body.replaceChildren(row);
      return;
    }
    if (this.body.firstElementChild?.dataset.key === '') this.body.replaceChildren();
    const sorted = this.sort === null ? items : items.toSorted(this.#compare());
    keyed(this.body, sorted, (item, i) => 'row ' + this.key(item, i), () => this.#row(), (row, item) => {
      this.columns.forEach((c, i) => c.fill ? c.fill(row.cells[i], item) : put(row.cells[i], c.text(item)));
    });
  }

  #compare() {
    const {sort} = this.columns[this.sort];
    const sign = this.descending ? -1 : 1;
    return (a, b) => {
      const x = sort(a), y = sort(b);
      return sign * (typeof x === 'string' ? x.localeCompare(y) : x - y);
    };
  }

  #row() {
    return el('tr', {}, ...this.columns.map(c => {
      const cell = c.head ? el('th', {scope: 'row'}) : el('td');
      if (c.num) cell.classList.add('num');
      if (c.class) cell.classList.add(c.class);
      return cell;
    }));
  }
}

// matrix shows figures whose rows are always the same: heads are the columns' titles,
// lines are [label, figure, …].
export function matrix(table, caption, heads, lines) {
  if (!table.caption) table.append(el('caption', {class: 'hidden'}, caption), el('thead'), el('tbody'));
  const head = table.tHead.rows[0] ?? table.tHead.appendChild(el('tr', {}, el('td')));
  keyed(head, [null, ...heads], (_, i) => 'column ' + i, title => title === null ? el('td') : el('th', {scope: 'col', class: 'num'}), (cell, title) => {
    if (title !== null) put(cell, title);
  });
  table.tHead.hidden = heads.every(h => h === '');
  keyed(table.tBodies[0], lines, line => 'line ' + line[0], line => el('tr', {}, el('th', {scope: 'row'}, line[0])), (row, line) => {
    while (row.cells.length < line.length) row.append(el('td', {class: 'num'}));
    while (row.cells.length > line.length) row.lastElementChild.remove();
    for (let i = 1; i < line.length; i++) put(row.cells[i], line[i]);
  });
}

// reachable lets the keyboard scroll what is wider than its panel, and only that.
export function reachable() {
  const observer = new ResizeObserver(entries => {
    for (const {target} of entries) {
      const box = target.closest('.scroll');
      if (box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1) {
        box.tabIndex = 0;
        box.setAttribute('role', 'region');
      } else {
        box.removeAttribute('tabindex');
        box.removeAttribute('role');
      }
    }
  });
  for (const box of document.querySelectorAll('.scroll')) {
    observer.observe(box);
    observer.observe(box.firstElementChild);
  }
}
