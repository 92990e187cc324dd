"""Mutations of what holds off cancellations, and lets interrupts pass."""

from __future__ import annotations

from .mutation import DELIVERY, INTERRUPTS, LEAVING, LEDGER, OVERFLOW, RELOAD, Mutation, outside, without

SHIELDS: tuple[Mutation, ...] = (
    without(
        "shield of the stages",
        "tasks",
        "with anyio.CancelScope(shield=True) as scope:",
        LEDGER,
        LEAVING,
        new="with anyio.CancelScope() as scope:",
    ),
    without(
        "shield while the stages run dry",
        "pipeline",
        """            with anyio.move_on_after(GRACE, shield=True):
                await self._run_dry()""",
        LEDGER,
        LEAVING,
        new="""            with anyio.move_on_after(GRACE):
                await self._run_dry()""",
    ),
    Mutation(
        "shield of the wait for the drain",
        "ending.py",
        "anyio.CancelScope(deadline=self._leave_by, shield=True)",
        "anyio.CancelScope(deadline=self._leave_by)",
        (f"{LEAVING}::TestCancellation", LEDGER, LEAVING),
    ),
    Mutation(
        "shield of the drain",
        "ending.py",
        "self._drain_scope = anyio.CancelScope(shield=True)",
        "self._drain_scope = anyio.CancelScope()",
        (LEDGER, LEAVING),
    ),
    Mutation(
        "shield of the task group when it is left",
        "ending.py",
        """        self._task_group.cancel_scope.shield = True
        if self._stuck:""",
        "        if self._stuck:",
        (LEDGER, f"{LEAVING}::TestCancellation", f"{LEAVING}::TestNativeCancellation", LEAVING),
    )._replace(excuse="in a block it is set before, and a start that has failed has no task left to wait for"),
    Mutation(
        "shield of the task group while it drains",
        "container.py",
        "            self._task_group.cancel_scope.shield = True\n",
        "            pass\n",
        (LEDGER, LEAVING),
    )._replace(excuse="a second line of defence: the wait, the drain and each stage have shields of their own"),
    without(
        "shield of a sink's close",
        "delivery",
        "anyio.move_on_after(2 * GRACE, shield=True)",
        DELIVERY,
        new="anyio.move_on_after(2 * GRACE)",
    ),
    without(
        "shield of the wait for a plugin that was asked to stop",
        "backend",
        "anyio.move_on_after(timeout, shield=True)",
        DELIVERY,
        new="anyio.move_on_after(timeout)",
    ),
    without(
        "shield of a checkpoint in a clean-up",
        "awaitables",
        "yield from cancel_shielded_checkpoint().__await__()",
        LEAVING,
        OVERFLOW,
        new="yield from self._turns.wait().__await__()",
    ),
    without(
        "holding back of a stage's cancellation from the body",
        "tasks",
        """                if not self.stopping:
                    raise
            except BaseException as error:""",
        LEAVING,
        new="""                raise
            except BaseException as error:""",
    ),
    without(
        "restart of a stage that was cancelled natively",
        "tasks",
        "if self.stopping or self._backend.has_ended(self._owner):",
        LEAVING,
        new="if True:",
    ),
    without(
        "shield of a reload's start",
        "succession",
        "self._start_scope = anyio.CancelScope(shield=True)",
        RELOAD,
        new="self._start_scope = anyio.CancelScope()",
    )._replace(excuse="who is cancelled gives the start up, and it ends as it does when it is cancelled itself"),
    without(
        "shield of a reload's end",
        "succession",
        "self._end_scope = anyio.CancelScope(shield=True)",
        RELOAD,
        new="self._end_scope = anyio.CancelScope()",
    ),
    without(
        "closing of sinks that were started for nothing",
        "succession",
        "                await self.new.give_up_start()  # which",
        RELOAD,
        new="                pass  # which",
    ),
    without(
        "stop of a pipeline that did not run dry",
        "succession",
        "                    await self.old.stop()",
        RELOAD,
        new="                    pass",
    ),
    outside("passing of an interrupt", "_interrupts", "        raise interrupt\n", INTERRUPTS, new="        pass\n"),
    outside(
        "interrupts inside a group",
        "_interrupts",
        "                    if (inside := interrupt_in(member)) is not None:\n                        return inside",
        INTERRUPTS,
        new="                    pass",
    ),
    outside(
        "interrupts in whose place another error is",
        "_interrupts",
        "        found = _context(found)",
        INTERRUPTS,
        new="        found = None",
    ),
    outside(
        "telling an exit by a handler from one by a plugin",
        "_interrupts",
        "(issubclass(kind, SystemExit) and _by_handler(traceback))",
        INTERRUPTS,
        new="issubclass(kind, SystemExit)",
    ),
    without(
        "shield of the closing of sinks after a start that failed",
        "pipeline",
        """with anyio.move_on_after(GRACE, shield=True):
                await delivery.close_sink(GRACE)""",
        LEAVING,
        RELOAD,
        new="""with anyio.move_on_after(GRACE):
                await delivery.close_sink(GRACE)""",
    ),
    without(
        "shield of the wait for stages that were cancelled",
        "pipeline",
        """        with anyio.move_on_after(GRACE, shield=True):
            await self._tasks.all_ended()
        for delivery""",
        LEAVING,
        LEDGER,
        DELIVERY,
        new="""        with anyio.move_on_after(GRACE):
            await self._tasks.all_ended()
        for delivery""",
    ),
    without(
        "shield of the wait for sinks that were cancelled",
        "pipeline",
        "anyio.move_on_after(2 * GRACE, shield=True)",
        LEAVING,
        DELIVERY,
        LEDGER,
        new="anyio.move_on_after(2 * GRACE)",
    ),
    without(
        "shield of the wait for plugins that were closed",
        "pipeline",
        """        with anyio.move_on_after(GRACE, shield=True):
            await self._tasks.all_ended()
            await self._join(hosts)""",
        LEAVING,
        DELIVERY,
        LEDGER,
        new="""        with anyio.move_on_after(GRACE):
            await self._tasks.all_ended()
            await self._join(hosts)""",
    )._replace(excuse="what was closed ends one turn later all the same, and nobody looks at it until then"),
    without(
        "protection from interrupts on Trio",
        "backend",
        "self._trio.lowlevel.enable_ki_protection(protected)",
        INTERRUPTS,
        new="protected",
    ),
    without(
        "end of waits that let their senders go",
        "pipeline",
        "                delivery.wait_no_more()\n",
        LEAVING,
        DELIVERY,
        RELOAD,
        LEDGER,
        new="                pass\n",
    ),
    without(
        "closing of what a plugin does at the end",
        "pipeline",
        """            runner.cancel()
            runner.abandon()
""",
        LEAVING,
        DELIVERY,
        new="            runner.cancel()\n",
    ),
    outside(
        "end of a drain at a second interrupt",
        "ending",
        '        self._drain_scope.cancel(reason="interrupted")\n',
        INTERRUPTS,
        LEAVING,
        new="        pass\n",
    ),
    outside(
        "holding back of a native cancellation while a container is left",
        "ending",
        "                    interruption = interruption or error\n",
        LEAVING,
        new="                    pass\n",
    ),
    without(
        "going on of a stage that an exit struck",
        "tasks",
        """                if (interrupt := interrupt_in(error)) is not None:
                    self._backend.pass_on(interrupt)
                elif isinstance(error, Exception):
                    self._report("internal",""",
        INTERRUPTS,
        new="""                if isinstance(error, Exception):
                    self._report("internal",""",
    ),
)
