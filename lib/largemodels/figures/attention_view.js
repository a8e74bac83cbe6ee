(function () {
  document.querySelectorAll('#ID:not([data-ready])').forEach(function (view) {
    view.setAttribute('data-ready', '');
    var heads = JSON.parse(view.dataset.heads), headNames = Object.keys(heads);
    var headButtons = Array.from(view.querySelectorAll('.heads button'));
    var words = Array.from(view.querySelectorAll('.words button')), says = view.querySelector('.says');
    var head = headNames[0], chosen = Number(view.dataset.start);
    function percent(weight) { return Math.round(100 * weight) + '%'; }
    function show(from) {
      var weights = heads[head][from];
      words.forEach(function (word, to) {
        word.style.setProperty('--weight', weights[to]);
        word.classList.toggle('looks', to === from);
        word.setAttribute('aria-pressed', String(to === chosen));
        word.querySelector('small').textContent = percent(weights[to]);
      });
      var order = weights.map(function (_, to) { return to; });
      order.sort(function (a, b) { return weights[b] - weights[a]; });
      var most = order.slice(0, 3).filter(function (to) { return weights[to] >= 0.005; });
      says.textContent = '“' + words[from].dataset.word + '” looks at ' + (most.map(function (to) {
        return words[to].dataset.word + ' ' + percent(weights[to]); }).join(', ') || 'nothing') + '.';
    }
    words.forEach(function (word, at) {
      word.addEventListener('pointerenter', function () { show(at); });
      word.addEventListener('pointerleave', function () { show(chosen); });
      word.addEventListener('focus', function () { chosen = at; show(at); });
      word.addEventListener('click', function () { chosen = at; show(at); });
      word.addEventListener('keydown', function (event) {
        var step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (step && words[at + step]) { event.preventDefault(); words[at + step].focus(); }
      });
    });
    headButtons.forEach(function (button, at) {
      button.addEventListener('click', function () {
        head = headNames[at];
        headButtons.forEach(function (other) { other.setAttribute('aria-pressed', String(other === button)); });
        show(chosen);
      });
    });
    show(chosen);
  });
})();
