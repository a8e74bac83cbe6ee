(function () {
  function ring(devices) { return (devices - 1) / devices; }
  function needs(model, plan) {
    var parameters = model.parameters / (plan.tensor * plan.pipeline);
    var blocks = Math.ceil(model.layers / plan.pipeline), tokens = plan.sequences * model.length;
    var m = plan.micro_batches, again = plan.recomputed === 'blocks';
    var inFlight = tokens * Math.min(plan.pipeline, m) * blocks * model.kept[plan.recomputed];
    if (again) inFlight += tokens * model.kept.nothing;
    function divided(stage) { return plan.zero >= stage ? plan.data : 1; }
    var stream = tokens * model.width * 2, rounds = [2, 2, m + 1, 3 * m][plan.zero];
    var sums = (model.parallel ? 1 : 2) * (again ? 3 : 2);
    return {
      states: parameters * (2 / divided(3) + 2 / divided(2) + 12 / divided(1))
        + (plan.zero === 3 && plan.data > 1 ? 2 * parameters / blocks : 0),
      activations: inFlight / plan.tensor,
      data: rounds * ring(plan.data) * 2 * parameters,
      tensor: m * blocks * sums * 2 * ring(plan.tensor) * stream,
      pipeline: plan.pipeline === 1 ? 0 : m * 2 * stream / plan.tensor,
      bubble: (plan.pipeline - 1) / (m + plan.pipeline - 1)
    };
  }
  function gigabytes(size) {
    size /= 1e9;
    return (size >= 100 ? Math.round(size).toLocaleString('en') : size.toFixed(1)) + ' GB';
  }
  document.querySelectorAll('#ID:not([data-ready])').forEach(function (calculator) {
    calculator.setAttribute('data-ready', '');
    var says = calculator.querySelector('.says'), fields = {};
    calculator.querySelectorAll('input, select').forEach(function (field) { fields[field.name] = field; });
    var sizes = ['data', 'tensor', 'pipeline', 'sequences', 'micro_batches'];
    function refuse(name, sentence) {
      fields[name].setAttribute('aria-invalid', 'true');
      says.textContent = sentence;
      delete says.dataset.needs;
    }
    function strong(text) {
      var made = document.createElement('strong'); made.textContent = text; return made;
    }
    function show() {
      Object.keys(fields).forEach(function (name) { fields[name].setAttribute('aria-invalid', 'false'); });
      var model = JSON.parse(fields.model.selectedOptions[0].dataset.numbers);
      var plan = { zero: Number(fields.zero.value), recomputed: fields.recomputed.value };
      for (var i = 0; i < sizes.length; i++) {
        var size = fields[sizes[i]].valueAsNumber;
        if (!(size >= 1 && size <= 1e6 && size === Math.floor(size)))
          return refuse(sizes[i], 'This is a whole number from 1 to a million.');
        plan[sizes[i]] = size;
      }
      var memory = fields.memory.valueAsNumber * 1e9;
      if (!(memory > 0)) return refuse('memory', 'The memory of a device is above 0 GB.');
      if (model.heads % plan.tensor)
        return refuse('tensor', 'The devices that share each matrix divide the ' + model.heads + ' heads.');
      if (plan.pipeline > model.layers)
        return refuse('pipeline', 'There are at most as many stages as blocks, ' + model.layers + '.');
      var found = needs(model, plan), held = found.states + found.activations;
      says.dataset.needs = JSON.stringify(found);
      says.textContent = '';
      var devices = plan.data * plan.tensor * plan.pipeline;
      says.append(strong(devices.toLocaleString('en') + (devices === 1 ? ' device' : ' devices')), ' with ',
        strong(gigabytes(held)), ' each: ' + gigabytes(found.states) + ' of states and '
        + gigabytes(found.activations) + ' of activations, which ', strong(held <= memory ? 'fits' : 'does not fit'),
        '. In a step each sends ' + gigabytes(found.data) + ' between copies, ' + gigabytes(found.tensor)
        + ' for divided matrices and ' + gigabytes(found.pipeline) + ' between stages. It waits for ',
        strong((100 * found.bubble).toFixed(1) + '%'), ' of the time.');
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
