"""The script by which a page shows one state of a pad, or one of its parts alone.

It runs beside the page's own scripts, which are off: `window.nitrogen` has

  vectors(texts)  puts drawings into the elements that ask for one by `ojd-svg`
  keywords()      all values of `ojd-button`
  collect(rules)  finds the elements of rules; gives the parts in the order of the document: what
                  moves ("i0", "i1", ...) with its rules, and what lies between ("s0", "s1", ...)
  set(state)      shows a state: pressed (names), left, right ([x, y]), triggers ([left, right])
                  and, of its site's settings, pixels (that a stick moves) and meter (whether a
                  trigger shows its value by a part of its height, and not by its opacity)
  show(part)      shows one part alone, or with null all of them
"""

SCRIPT = """
(() => {
  const nitrogen = window.nitrogen = {};
  const style = text => {
    const node = document.createElement('style');
    node.textContent = text;
    document.head.append(node);
    return node;
  };
  style(STYLES);
  const alone = style('');
  let rules = [], matched = new Map();

  nitrogen.vectors = texts => {
    for (const node of document.querySelectorAll('[ojd-svg]')) {
      const text = texts[node.getAttribute('ojd-svg')];
      if (text) node.innerHTML = text;
    }
  };
  nitrogen.keywords = () =>
    [...document.querySelectorAll('[ojd-button]')].map(node => node.getAttribute('ojd-button'));

  nitrogen.collect = given => {
    rules = given;
    rules.forEach((rule, at) => {
      for (const node of document.querySelectorAll(rule.selector)) {
        if (!matched.has(node)) matched.set(node, []);
        matched.get(node).push(at);
      }
    });
    const parts = [];
    let moving = 0;
    const walk = (node, above, inStick) => {
      const own = matched.get(node);
      let part = above;
      if (own && !inStick) {
        part = `i${moving++}`;
        parts.push({part, rules: own});
        inStick = own.some(at => rules[at].kind === 'stick');
      } else if (above === null) {
        part = `s${moving}`;
        if (!parts.length || parts.at(-1).part !== part) parts.push({part, rules: []});
      }
      node.setAttribute('nitrogen-part', part);
      for (const child of node.children)
        walk(child, part.startsWith('i') ? part : null, inStick);
    };
    walk(document.body, null, false);
    for (const node of document.querySelectorAll('[nitrogen-part]')) {
      const above = node.parentElement.getAttribute('nitrogen-part');
      if (above !== node.getAttribute('nitrogen-part')) node.setAttribute('nitrogen-root', '');
    }
    return parts;
  };

  nitrogen.show = part => {
    // What the page itself hides stays hidden: only the first element of a part is made visible,
    // by a rule that any other overrules.
    alone.textContent = part === null ? '' :
      `:not([nitrogen-part="${part}"]) { visibility: hidden !important }
       :where([nitrogen-part="${part}"][nitrogen-root]) { visibility: visible }`;
  };

  const press = (node, how, on) => {
    if (how.includes('class')) node.classList.toggle('pressed', on);
    if (how.includes('active')) node.classList.toggle('active', on);
    if (how.includes('data')) {
      node.dataset.pressed = String(on);
      node.dataset.value = on ? '1' : '0';
    }
  };
  const move = (node, how, x, y, pixels) => {
    if (how.includes('percent')) {
      node.style.left = `${50 + 50 * x}%`;
      node.style.top = `${50 + 50 * y}%`;
    } else {
      node.style.marginLeft = `${x * pixels}px`;
      node.style.marginTop = `${y * pixels}px`;
    }
  };
  const pull = (node, how, value, meter) => {
    const share = how.some(word => word.endsWith('inverted')) ? 1 - value : value;
    if (how.includes('opacity')) {
      node.style.opacity = meter ? 1 : value;
      node.style.clipPath = meter ? `inset(${100 - 100 * value}% 0 0 0)` : 'none';
      if (how.includes('data')) press(node, ['data'], value > 0);
      if (how.includes('data')) node.dataset.value = value;
    }
    if (how.some(word => word.startsWith('scale'))) node.style.height = `${100 * share}%`;
    if (how.some(word => word.startsWith('move'))) node.style.top = `${100 * share}%`;
    if (how.includes('active')) node.classList.toggle('trigger-active', value > 0);
  };
  nitrogen.set = state => {
    for (const [node, own] of matched) for (const at of own) {
      const rule = rules[at], how = rule.how.split(' ');
      if (rule.kind === 'button') press(node, how, state.pressed.includes(rule.target));
      if (rule.kind === 'trigger')
        pull(node, how, state.triggers[rule.target === 'left' ? 0 : 1], state.meter);
      if (rule.kind === 'dpad')
        for (const way of ['up', 'down', 'left', 'right'])
          node.classList.toggle(way, state.pressed.includes(`DPAD_${way.toUpperCase()}`));
      if (rule.kind !== 'stick') continue;
      move(node, how, ...state[rule.target], state.pixels);
      const click = state.pressed.includes(`${rule.target.toUpperCase()}_THUMB`);
      press(node, how.filter(word => word !== 'active'), click);
    }
  };
  return true;
})()
"""
