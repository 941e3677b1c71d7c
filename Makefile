# make run     a try-out in the foreground: MQTT on loopback, a serial line without a cable, the built-in voice
# make test    the tests; those for which a program is missing say so and are skipped
# make lint    ruff and mypy
# make clean   remove what these commands made
#
# Variables: PYTHON (interpreter for .venv), EXTRAS (optional dependencies for the tests, e.g. test,convert),
# CONSTRAINTS (a pip constraints file), PACKAGES (Debian packages; empty: install none), ARGS (for edge-ttsd or pytest).

VENV := .venv
EXTRAS ?= test
ARGS ?=
comma := ,

# Each installed set of optional dependencies leaves a stamp, so that the next start does not ask pip again.
installed = $(VENV)/.with-$(subst $(comma),-,$(1))

.PHONY: run test lint clean

run: PACKAGES ?= libportaudio2 mosquitto mosquitto-clients python3-venv
run: $(call installed,resample)
	@$(VENV)/bin/edge-ttsd run --try-out $(ARGS)

test: OPTIONAL := --optional
test: PACKAGES ?= libportaudio2 mosquitto mosquitto-clients pulseaudio libasound2-plugins alsa-utils openssl systemd python3-venv
test: $(call installed,$(EXTRAS))
	$(VENV)/bin/python -m pytest $(ARGS)

lint: OPTIONAL := --optional
lint: PACKAGES ?= python3-venv
lint: $(call installed,lint)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy --strict

$(VENV)/.with-%: setup.cfg pyproject.toml $(CONSTRAINTS)
	@tools/check_machine.sh
	@tools/apt_install.sh $(OPTIONAL) $(PACKAGES)
	@tools/make_venv.sh $(VENV) $(addprefix --constraint ,$(CONSTRAINTS)) -e ".[$(subst -,$(comma),$*)]"
	@touch $@

clean:
	rm -rf $(VENV) .run spoken build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
