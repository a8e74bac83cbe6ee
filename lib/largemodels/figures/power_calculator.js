(function () {
  function logFactorial(k) {
    if (k < 20) { var product = 1; for (var i = 2; i <= k; i++) product *= i; return Math.log(product); }
    return (k + 0.5) * Math.log(k) - k + 0.5 * Math.log(2 * Math.PI)
      + 1 / (12 * k) - 1 / (360 * Math.pow(k, 3)) + 1 / (1260 * Math.pow(k, 5));
  }
  function binomial(k, trials, chance) {  // the chance of exactly k
    if (chance <= 0) return k === 0 ? 1 : 0;
    if (chance >= 1) return k === trials ? 1 : 0;
    return Math.exp(logFactorial(trials) - logFactorial(k) - logFactorial(trials - k)
      + k * Math.log(chance) + (trials - k) * Math.log1p(-chance));
  }
  function atMost(most, trials, chance) {  // the chance of no more than `most`
    if (most < 0) return 0;
    if (most >= trials || chance <= 0) return 1;
    if (chance >= 1) return 0;
    var odds = chance / (1 - chance), start = Math.min(most, Math.floor((trials + 1) * chance));
    var first = binomial(start, trials, chance), sum = first, term = first;
    for (var k = start; k > 0 && term > 1e-18 * sum; k--) { term *= k / ((trials - k + 1) * odds); sum += term; }
    term = first;
    for (k = start + 1; k <= most && term > 1e-18 * sum; k++) { term *= (trials - k + 1) * odds / k; sum += term; }
    return Math.min(1, sum);
  }
  function pairs(n, share, alpha) {  // each likely number of discordant pairs, its chance, and where the test rejects
    var mode = Math.min(n, Math.floor((n + 1) * share)), first = mode, last = mode, found = [];
    while (first > 0 && binomial(first - 1, n, share) > 1e-15) first--;
    while (last < n && binomial(last + 1, n, share) > 1e-15) last++;
    var quantile = Math.floor(first / 2), tie = 1e-12;  // the smallest count that is as likely as alpha / 2
    while (quantile > 0 && atMost(quantile - 1, first, 0.5) >= alpha / 2 * (1 - tie)) quantile--;
    for (var d = first; d <= last; d++) {
      while (atMost(quantile, d, 0.5) < alpha / 2 * (1 - tie)) quantile++;
      var midP = atMost(quantile - 1, d, 0.5) + atMost(quantile, d, 0.5);
      found.push([d, binomial(d, n, share), midP > alpha * (1 + tie) ? quantile - 1 : quantile]);
    }
    return found;
  }
  function power(discordant, share, difference) {
    var better = (1 + Math.min(1, difference / share)) / 2, sum = 0;
    discordant.forEach(function (one) {
      sum += one[1] * (atMost(one[2], one[0], better) + atMost(one[2], one[0], 1 - better));
    });
    return Math.min(1, sum);
  }
  function smallest(discordant, share, wanted) {
    if (power(discordant, share, share) < wanted) return null;
    var low = 0, high = share;
    if (power(discordant, share, 0) >= wanted) return 0;
    for (var step = 0; step < 45; step++) {
      var middle = (low + high) / 2;
      if (power(discordant, share, middle) < wanted) low = middle; else high = middle;
    }
    return high;
  }
  document.querySelectorAll('#ID:not([data-ready])').forEach(function (calculator) {
    calculator.setAttribute('data-ready', '');
    var says = calculator.querySelector('.says'), wanted = Number(calculator.dataset.power);
    var fields = {};
    calculator.querySelectorAll('input').forEach(function (input) { fields[input.name] = input; });
    function refuse(name, sentence) {
      fields[name].setAttribute('aria-invalid', 'true');
      says.textContent = sentence;
      delete says.dataset.value; delete says.dataset.smallest;
    }
    function percent(chance) { return (100 * chance).toFixed(chance < 0.1 ? 1 : 0) + '%'; }
    function strong(text) {
      var made = document.createElement('strong'); made.textContent = text; return made;
    }
    function show() {
      var n = fields.n.valueAsNumber, share = fields.discordant.valueAsNumber / 100;
      var difference = Math.abs(fields.difference.valueAsNumber) / 100, alpha = fields.alpha.valueAsNumber;
      Object.keys(fields).forEach(function (name) { fields[name].setAttribute('aria-invalid', 'false'); });
      if (!(n >= 1 && n <= MOST && n === Math.floor(n)))
        return refuse('n', 'The test set has a whole number of examples, from 1 to MOST.');
      if (!(share > 0 && share <= 1))
        return refuse('discordant', 'The share of discordant pairs is above 0% and at most 100%.');
      if (!(difference <= share))
        return refuse('difference', 'The difference is at most the share of discordant pairs, where they differ.');
      if (!(alpha > 0 && alpha < 1)) return refuse('alpha', 'The level is between 0 and 1.');
      var discordant = pairs(n, share, alpha), chance = power(discordant, share, difference);
      var least = smallest(discordant, share, wanted);
      says.dataset.value = chance;
      says.dataset.smallest = least === null ? '' : least;
      says.textContent = 'The test finds this difference with a chance of ';
      says.append(strong(percent(chance)), '. ');
      if (least === null) says.append('No difference between these models is found with a chance of ' + percent(wanted)
        + ': the test set is too small.');
      else says.append('The smallest difference that it finds with a chance of ' + percent(wanted) + ' is ',
        strong((100 * least).toFixed(2) + ' points'), ', ' + (n * least).toFixed(0) + ' of ' + n + ' examples.');
    }
    calculator.querySelectorAll('.offered button').forEach(function (button) {
      button.addEventListener('click', function () {
        var filled = JSON.parse(button.dataset.values);
        Object.keys(filled).forEach(function (name) { fields[name].value = filled[name]; });
        show();
      });
    });
    Object.keys(fields).forEach(function (name) { fields[name].addEventListener('input', show); });
    show();
  });
})();
