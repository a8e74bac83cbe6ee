(function () {
  document.querySelectorAll('#ID:not([data-ready])').forEach(function (view) {
    view.setAttribute('data-ready', '');
    var read = function (name) { return JSON.parse(view.dataset[name]); };
    var unit = read('unit'), size = read('vocabulary'), knots = read('knots'), words = view.dataset.words.split('\n');
    var best = read('best'), gaps = read('gaps'), ranks = read('ranks'), gap = read('gap'), tokens = read('tokens');
    var buttons = Array.from(view.querySelectorAll('.text button')), says = view.querySelector('.says');
    var lines = says.querySelectorAll('p'), bars = view.querySelector('.bars'), still = view.querySelector('.still');
    var inputs = {}, chosen = read('start'), logits, plain;
    view.querySelectorAll('input').forEach(function (input) { inputs[input.name] = input; });

    function restore(place) {  // all logits, the largest first and 0; straight lines between the knots
      var known = gaps[place], exact = best[place].length, all = new Float64Array(size);
      for (var rank = 0; rank < exact; rank++) all[rank] = -unit * known[rank];
      for (var k = 0; k < knots.length; k++) {
        var from = k ? knots[k - 1] : exact - 1, to = knots[k], low = -unit * known[exact + k], high = all[from];
        for (rank = from + 1; rank <= to; rank++) all[rank] = high + (low - high) * (rank - from) / (to - from);
      }
      return all;
    }
    function softmax(temperature) {
      var total = 0, p = logits.map(function (logit) { return Math.exp(logit / temperature); });
      for (var rank = 0; rank < size; rank++) total += p[rank];
      return { p: p.map(function (one) { return one / total; }), total: total };
    }
    function kept(p, topP, minP) {  // how many stay: the fewest whose sum is top-p, none below min-p of the largest
      var stay = 1, sum = p[0];
      while (stay < size && (topP >= 1 || sum < topP) && p[stay] >= minP * p[0]) sum += p[stay++];
      return { stay: stay, share: stay === size ? 1 : Math.min(1, sum) };
    }
    function entropy(p, left) {
      var sum = 0;
      for (var rank = 0; rank < left.stay; rank++) {
        var q = p[rank] / left.share;
        if (q > 0) sum -= q * Math.log2(q);
      }
      return Math.max(0, sum);
    }
    function percent(share) {
      var value = 100 * share;
      if (value > 0 && value < 0.01) return 'below 0.01%';
      return value.toFixed(value >= 10 ? 1 : 2) + '%';
    }
    function count(number) { return number.toLocaleString('en'); }
    function made(tag, kind, text) {
      var element = document.createElement(tag);
      if (kind) element.className = kind;
      if (text !== undefined) element.textContent = text;
      return element;
    }
    function say(line, parts) {  // text, and numbers in bold
      lines[line].textContent = '';
      parts.forEach(function (part) {
        lines[line].append(Array.isArray(part) ? made('strong', '', part[0]) : part);
      });
    }
    function settings() {
      return { temperature: Math.min(3, Math.pow(10, inputs.temperature.value / 100)),
        top_p: Number(inputs.top_p.value), min_p: Number(inputs.min_p.value) };
    }
    function bar(rank, word, now, left, before, widest) {
      var stays = rank < left.stay, shown = stays ? now / left.share : now, actual = rank === ranks[chosen];
      var item = made('li', (stays ? '' : 'cut') + (actual ? ' actual' : ''));
      var name = made('span'), track = made('span', 'bar'), fill = made('i'), was = made('span', 'was');
      if (rank >= SHOWN) name.append('… ' + count(rank + 1) + '. ');
      name.append(made('bdi', '', word));
      if (actual) {
        var arrow = made('span', '', ' ◀');
        arrow.setAttribute('aria-hidden', 'true');
        name.append(arrow, made('span', 'aside', ' (the token of the text)'));
      }
      fill.style.width = 100 * shown / widest + '%';
      was.style.left = 100 * before / widest + '%';
      track.setAttribute('aria-hidden', 'true');
      track.append(fill, was);
      item.append(name, track, made('span', 'share', (stays ? '' : 'cut, ') + percent(shown)));
      item.dataset.probability = stays ? shown : 0;
      return item;
    }
    function show() {
      var set = settings(), now = softmax(set.temperature), left = kept(now.p, set.top_p, set.min_p);
      var all = { stay: size, share: 1 }, rank = ranks[chosen], log = -unit * gap[chosen];
      var own = Math.exp(log) / plain.total, stays = rank < left.stay;
      var after = stays ? Math.exp(log / set.temperature) / now.total / left.share : 0;
      var before = entropy(plain.p, all), then = entropy(now.p, left), moved = set.temperature !== 1 || left.stay < size;
      var widest = Math.max(plain.p[0], now.p[0] / left.share);
      bars.textContent = '';
      bars.classList.toggle('unmoved', !moved);
      for (var place = 0; place < Math.min(SHOWN, best[chosen].length); place++)
        bars.append(bar(place, words[best[chosen][place]], now.p[place], left, plain.p[place], widest));
      if (rank >= SHOWN)
        bars.append(bar(rank, words[tokens[chosen]], Math.exp(log / set.temperature) / now.total, left, own, widest));
      var context = tokens.slice(Math.max(0, chosen - 4), chosen).map(function (token) { return words[token]; });
      say(0, [context.length ? 'After “' + (chosen > 4 ? '…' : '') + context.join('') + '” comes “' : 'The text begins with “',
        words[tokens[chosen]], '”: probability ', [percent(own)], ', rank ', [count(rank + 1)], ' of ' + count(size) + ', ',
        [Math.abs(Math.log2(own)).toFixed(2) + ' bits'], '. The model’s entropy is ', [before.toFixed(2) + ' bits'], '.']);
      if (!moved) say(1, ['Move a slider to see what sampling makes of this distribution.']);
      else say(1, stayed(left).concat(['. The token of the text ', stays ? 'now has ' : 'is ', [stays ? percent(after) : 'cut'],
        ', and the entropy is ', [then.toFixed(2) + ' bits'], '.']));
      Object.assign(says.dataset, { stay: left.stay, cut: 1 - left.share, entropy: then, plainEntropy: before,
        probability: own, sampled: after });
      fillTable(now.p, left, moved);
    }
    function stayed(left) {
      if (left.stay === size) return ['All ' + count(size) + ' tokens stay'];
      var about = left.stay > best[chosen].length;  // between two knots, a rank is a guess
      return [about ? 'About ' : '', [count(left.stay)], left.stay === 1 ? ' token stays' : ' tokens stay',
        about ? '; those that are cut had ' : '; the ' + count(size - left.stay) + ' that are cut had ',
        [percent(1 - left.share)], ' of the probability'];
    }
    function fillTable(p, left, moved) {  // what is printed
      still.querySelector('caption bdi').textContent = words[tokens[chosen]];
      still.querySelector('caption span').textContent = moved ? Object.keys(inputs).map(function (name) {
        return ', ' + name.replace('_', '-') + ' ' + inputs[name].getAttribute('aria-valuetext'); }).join('') : '';
      still.querySelectorAll('tbody tr').forEach(function (row, place) {
        row.querySelector('bdi').textContent = words[best[chosen][place]];
        row.lastElementChild.textContent = place < left.stay ? percent(p[place] / left.share) : 'cut';
      });
    }
    function choose(place, focus) {
      chosen = place;
      buttons.forEach(function (button, at) {
        button.tabIndex = at === place ? 0 : -1;
        button.setAttribute('aria-pressed', String(at === place));
      });
      if (focus) buttons[place].focus();
      logits = restore(place);
      plain = softmax(1);
      show();
    }
    buttons.forEach(function (button, at) {
      button.addEventListener('click', function () { choose(at, true); });
      button.addEventListener('keydown', function (event) {
        var to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0,
          End: buttons.length - 1 }[event.key];
        if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
        event.preventDefault();
        if (buttons[to]) choose(to, true);
      });
    });
    function label() {
      var set = settings();
      Object.keys(inputs).forEach(function (name) {
        var text = set[name].toFixed(2);
        inputs[name].setAttribute('aria-valuetext', text);
        view.querySelector('[data-of="' + name + '"]').textContent = text;
      });
    }
    Object.keys(inputs).forEach(function (name) {
      inputs[name].addEventListener('input', function () { label(); show(); });
    });
    view.querySelector('.reset').addEventListener('click', function () {
      Object.keys(inputs).forEach(function (name) { inputs[name].value = inputs[name].getAttribute('value'); });
      label();
      show();
    });
    label();  // a browser may have kept the sliders of an earlier visit
    choose(chosen, false);
  });
})();
