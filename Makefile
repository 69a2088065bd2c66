# A short front for meson and ninja. Each goal first sees to it that what it needs is installed (scripts/bootstrap).
.DEFAULT_GOAL := all
.PHONY: all demo test viewer test-viewer valgrind bench bench-quick bench-cc soak fuzz format install clean help

PREFIX  ?= /usr/local
SECONDS ?= 60
MINUTES ?= 30
TARGET  ?=
QUICK   ?=
UPDATE  ?=

all: ## build build/weir and libweir (this is what plain `make` does)
	@scripts/bootstrap build
	@scripts/build

demo: all ## fetch a file with an unmodified curl through a link that loses packets, and tell the story
	@scripts/bootstrap demo
	@scripts/demo

test: ## every test, with gcc under ASan and UBSan; and compile with clang
	@scripts/bootstrap test
	@scripts/run-tests $(SUITE)

viewer: ## build the page of weir report from viewer/, into src/trace/viewer.html
	@scripts/bootstrap viewer
	@scripts/viewer build

test-viewer: all ## the page's tests: its logic, and all of it in a browser without a screen
	@scripts/bootstrap viewer
	@scripts/viewer test

valgrind: ## the unit tests under valgrind
	@scripts/bootstrap test
	@scripts/valgrind

bench: all ## weir beside its peers, on the same work in one run; writes bench/results.md and bench/plots/ (QUICK=1: smaller, three runs)
	@scripts/bootstrap bench
	@scripts/bench $(if $(QUICK),--quick)

bench-quick: all ## instructions per unit of work beside those of bench/instructions.tsv; fails when one grew by more than 3 % (UPDATE=1: keep today's)
	@scripts/bootstrap test
	@scripts/bench-quick $(if $(UPDATE),--update)

bench-cc: all ## weir against Linux over the same bad links, in real time; writes bench/cc.md (QUICK=1: four minutes, not an hour)
	@scripts/bootstrap test
	@ninja -C build bench/tap-peer bench/tap-bridge >/dev/null
	@WEIR=build/weir python3 bench/cc.py $(if $(QUICK),--quick) --out bench/cc.md

soak: all ## mixed work over bad links at full speed for MINUTES=30: every byte right, memory flat, no stall, nothing left
	@ninja -C build bench/bench-soak >/dev/null
	@build/bench/bench-soak --minutes $(MINUTES)

fuzz: ## fuzz each target (SECONDS=60 each; TARGET=name for one)
	@scripts/bootstrap test
	@scripts/fuzz $(SECONDS) $(TARGET)

format: ## write every C file as clang-format has it
	@scripts/bootstrap ci
	@scripts/check-format --fix

install: all ## install weir, libweir, headers, weir.pc and man pages (PREFIX=/usr/local, DESTDIR=)
	@meson configure build --prefix=$(PREFIX)
	@meson install -C build --quiet

clean: ## remove what was built
	@rm -rf build build-*

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 18
