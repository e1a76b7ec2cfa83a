//! Order of operations that refer to each other: each after those it needs, otherwise as they were sent. Those that
//! need each other in a circle come together, as one unit (Tarjan's strongly connected components). Linear in
//! operations and references but for the choice of the next one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Units of operations, each of them one or a circle.
pub(crate) struct Order {
    units: Vec<Unit>,
    /// Units that wait for none: the first operation and the unit.
    ready: BinaryHeap<Reverse<(usize, usize)>>,
}

struct Unit {
    operations: Vec<usize>,
    is_circle: bool,
    waits_for: usize,
    waited_for_by: Vec<usize>,
}

/// A unit whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    unit: usize,
    pub(crate) operations: Vec<usize>,
    pub(crate) is_circle: bool,
}

impl Order {
    /// `needs` has for each operation those that it needs.
    pub(crate) fn new(needs: &[Vec<usize>]) -> Self {
        let of = components(needs);
        let count = of.iter().max().map_or(0, |last| last.saturating_add(1));
        let empty =
            || Unit { operations: Vec::new(), is_circle: false, waits_for: 0, waited_for_by: Vec::new() };
        let mut units: Vec<Unit> = (0..count).map(|_| empty()).collect();
        for (operation, unit) in of.iter().enumerate() {
            if let Some(unit) = units.get_mut(*unit) {
                unit.operations.push(operation);
            }
        }
        for (operation, needed) in needs.iter().enumerate() {
            let Some(&own) = of.get(operation) else { continue };
            for other in needed.iter().filter_map(|needed| of.get(*needed).copied()) {
                if let (true, Some(unit)) = (other == own, units.get_mut(own)) {
                    unit.is_circle = true;
                    continue;
                }
                if let Some(unit) = units.get_mut(other) {
                    unit.waited_for_by.push(own);
                }
                if let Some(unit) = units.get_mut(own) {
                    unit.waits_for = unit.waits_for.saturating_add(1);
                }
            }
        }
        let mut order = Self { units, ready: BinaryHeap::new() };
        (0..count).for_each(|unit| order.offer(unit));
        order
    }

    fn offer(&mut self, unit: usize) {
        if let Some(found) = self.units.get(unit)
            && found.waits_for == 0
            && let Some(first) = found.operations.first()
        {
            self.ready.push(Reverse((*first, unit)));
        }
    }

    /// The unit that is next. Those that wait for it come after [`Order::done`].
    pub(crate) fn next(&mut self) -> Option<Turn> {
        let Reverse((_, unit)) = self.ready.pop()?;
        let found = self.units.get(unit)?;
        Some(Turn { unit, operations: found.operations.clone(), is_circle: found.is_circle })
    }

    /// A unit has been done, well or not.
    pub(crate) fn done(&mut self, turn: &Turn) {
        let waiting = self.units.get_mut(turn.unit).map(|unit| std::mem::take(&mut unit.waited_for_by));
        for unit in waiting.unwrap_or_default() {
            if let Some(found) = self.units.get_mut(unit) {
                found.waits_for = found.waits_for.saturating_sub(1);
            }
            self.offer(unit);
        }
    }
}

/// An operation on the way down, and which of those it needs is next.
struct Step {
    operation: usize,
    next: usize,
}

#[derive(Clone, Copy, Default)]
struct Mark {
    found_at: Option<usize>,
    lowest: usize,
    unit: Option<usize>,
}

/// The unit of each operation. Without recursion: a chain may be as long as the request.
fn components(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut marks = vec![Mark::default(); needs.len()];
    let (mut found, mut units) = (0_usize, 0_usize);
    let mut open = Vec::new();
    for start in 0..needs.len() {
        if marks.get(start).is_none_or(|mark| mark.found_at.is_some()) {
            continue;
        }
        let mut way = vec![Step { operation: start, next: 0 }];
        while let Some(step) = way.last_mut() {
            let operation = step.operation;
            if step.next == 0
                && let Some(mark) = marks.get_mut(operation)
            {
                *mark = Mark { found_at: Some(found), lowest: found, unit: None };
                found = found.saturating_add(1);
                open.push(operation);
            }
            let needed = needs.get(operation).and_then(|needed| needed.get(step.next)).copied();
            step.next = step.next.saturating_add(1);
            let Some(needed) = needed else {
                way.pop();
                let Some(mark) = marks.get(operation).copied() else { continue };
                if mark.found_at == Some(mark.lowest) {
                    while let Some(member) = open.pop() {
                        if let Some(mark) = marks.get_mut(member) {
                            mark.unit = Some(units);
                        }
                        if member == operation {
                            break;
                        }
                    }
                    units = units.saturating_add(1);
                }
                if let Some(above) = way.last().and_then(|step| marks.get_mut(step.operation)) {
                    above.lowest = above.lowest.min(mark.lowest);
                }
                continue;
            };
            match marks.get(needed).copied() {
                Some(Mark { found_at: None, .. }) => way.push(Step { operation: needed, next: 0 }),
                Some(Mark { found_at: Some(at), unit: None, .. }) => {
                    if let Some(mark) = marks.get_mut(operation) {
                        mark.lowest = mark.lowest.min(at);
                    }
                }
                _ => {}
            }
        }
    }
    marks.into_iter().map(|mark| mark.unit.unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(needs: &[&[usize]]) -> Vec<Vec<usize>> {
        let needs: Vec<Vec<usize>> = needs.iter().map(|needed| needed.to_vec()).collect();
        let mut order = Order::new(&needs);
        let mut turns = Vec::new();
        while let Some(turn) = order.next() {
            order.done(&turn);
            turns.push(turn.operations);
        }
        turns
    }

    #[test]
    fn operations_come_after_those_they_need_and_else_as_sent() {
        assert_eq!(turns(&[&[], &[], &[]]), [[0], [1], [2]]);
        assert_eq!(turns(&[&[2], &[], &[3], &[]]), [[1], [3], [2], [0]]);
        assert_eq!(turns(&[]), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn circles_are_one_unit_and_come_before_those_who_need_them() {
        assert_eq!(turns(&[&[1], &[2], &[0], &[1]]), [vec![0, 1, 2], vec![3]]);
        assert_eq!(turns(&[&[3], &[2], &[1, 3], &[]]), [vec![3], vec![0], vec![1, 2]]);
        let mut order = Order::new(&[vec![0], vec![]]);
        assert!(order.next().unwrap().is_circle && !order.next().unwrap().is_circle);
    }

    #[test]
    fn a_long_chain_takes_no_stack() {
        let last = 99_999;
        let needs: Vec<Vec<usize>> =
            (0..=last).map(|n| if n < last { vec![n + 1] } else { vec![] }).collect();
        let mut order = Order::new(&needs);
        let first = order.next().unwrap();
        assert_eq!(first.operations, [last]);
    }
}
