//! Withdrawals from cash machines: `1735689600000,card417,atm27,account209,60` is time, card,
//! machine, account and sum. What is true of them says [`crate::visits`].

use crate::form::{Cell, Column, Form, Frame};
use crate::visits::{ATMS, FraudShare, HOLDERS, SUMS, Visits, Withdrawal};

const COLUMNS: [Column; 4] =
    [Column::text("card"), Column::text("atm"), Column::text("account"), Column::number("amount")];

/// The rows of the profile `withdrawals`.
#[derive(Debug)]
pub struct Withdrawals {
    visits: Visits,
    frame: Frame,
    before_card: String,
    /// A machine and what stands around it.
    atms: Vec<Cell<32>>,
    /// The account of a holder, and what stands behind it.
    accounts: Vec<Cell<24>>,
    /// The sum and the end of the row.
    sums: Vec<Cell<8>>,
}

impl Withdrawals {
    /// The rows of `seed`.
    #[must_use]
    pub fn new(seed: u64, form: Form, share: FraudShare) -> Withdrawals {
        let frame = Frame::new(form, ",", true, &COLUMNS);
        let before = |at| frame.before(at);
        let atm = |atm| format!("{}atm{}{}", before(1), atm + 1, before(2));
        let account = |holder| format!("account{}{}", holder / 2 + 1, before(3));
        let sum = |sum| format!("{}{}", (sum + 1) * 10, before(4));
        Withdrawals {
            visits: Visits::new(seed, share),
            before_card: format!("{}card", before(0)),
            atms: Cell::table(ATMS, atm),
            accounts: Cell::table(HOLDERS, account),
            sums: Cell::table(SUMS, sum),
            frame,
        }
    }

    /// What stands around the values.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Appends `row`, which has the time `ms`.
    #[inline]
    pub fn write(&mut self, row: u64, ms: i64, out: &mut Vec<u8>) {
        let Withdrawal { card, atm, holder, sum } = self.visits.of_row(row);
        self.frame.write_time(ms, out);
        out.extend_from_slice(self.before_card.as_bytes());
        out.extend_from_slice(itoa::Buffer::new().format(card + 1).as_bytes());
        self.atms[atm].write(out);
        self.accounts[holder].write(out);
        self.sums[sum].write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(form: Form, rows: impl Iterator<Item = u64>) -> String {
        let mut withdrawals = Withdrawals::new(1, form, FraudShare::DEFAULT);
        let mut out = withdrawals.frame().header().unwrap_or_default().as_bytes().to_vec();
        rows.for_each(|row| withdrawals.write(row, 5, &mut out));
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn every_form_has_room_for_every_value() {
        let csv = text(Form::Csv, 0..1);
        assert_eq!(csv, "ms,card,atm,account,amount\n5,card857,atm30,account429,80\n");
        let plain = text(Form::Text, 0..20_000);
        let json = text(Form::Json, 0..20_000);
        let mut longest = [0; 4];
        for (plain, json) in plain.split_terminator('\n').zip(json.split_terminator('\n')) {
            let fields: Vec<&str> = plain.split(',').collect();
            let [ms, card, atm, account, amount] = fields[..] else { panic!("{plain}") };
            let object = format!(
                "{{\"ms\":{ms},\"card\":\"{card}\",\"atm\":\"{atm}\",\"account\":\"{account}\",\
                 \"amount\":{amount}}}"
            );
            assert_eq!(json, object);
            for (longest, field) in longest.iter_mut().zip([card, atm, account, amount]) {
                *longest = field.len().max(*longest);
            }
        }
        assert_eq!(longest, ["card1000", "atm100", "account500", "500"].map(str::len));
    }

    #[test]
    fn a_card_belongs_to_one_account_and_an_account_has_two() {
        let mut accounts = std::collections::BTreeMap::new();
        let rows = text(Form::Text, 0..200_000);
        for row in rows.split_terminator('\n') {
            let fields: Vec<&str> = row.split(',').collect();
            let card: u64 = fields[1].strip_prefix("card").expect("a card").parse().expect("one");
            let known = accounts.entry((card - 1) % 1_000).or_insert(fields[3]);
            assert_eq!(*known, fields[3]);
        }
        assert_eq!(accounts.len(), HOLDERS);
        assert_eq!(accounts.values().filter(|account| **account == "account7").count(), 2);
    }
}
