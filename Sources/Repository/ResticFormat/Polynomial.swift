/// The repository's secret polynomial over GF(2), which decides where content is cut.
///
/// Bit i is the coefficient of x^i. restic takes only irreducible ones of degree 53. Source:
/// restic's design document, "Config"; Rabin's fingerprints.
package struct Polynomial: Hashable, Sendable {
    /// The degree of every polynomial in use.
    static var degree: Int { 53 }

    let bits: UInt64

    /// A polynomial from its coefficients; nil when it is not irreducible or not of degree 53.
    package init?(bits: UInt64) {
        guard bits >> UInt64(Self.degree) == 1, Self.isIrreducible(bits) else { return nil }
        self.bits = bits
    }

    /// A polynomial from hexadecimal digits without prefix, as the config has it.
    package init?(hex: some StringProtocol) {
        guard hex.utf8.count <= 16, hex.utf8.allSatisfy({ hexDigitValue($0) != nil }),
            let bits = UInt64(hex, radix: 16)
        else { return nil }
        self.init(bits: bits)
    }

    /// A new random polynomial. About one candidate in 27 is irreducible.
    package static func random() -> Polynomial {
        while true {
            let candidate = secureRandomBytes(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let degreeBit = UInt64(1) << UInt64(degree)
            if let result = Polynomial(bits: candidate & (degreeBit - 1) | degreeBit | 1) {
                return result
            }
        }
    }

    /// The hexadecimal digits, without prefix.
    package var hex: String { String(bits, radix: 16) }

    /// Rabin's test, made short by the degree being prime: no root in GF(2), that is not
    /// divisible by x or x + 1, and x^(2^53) = x modulo the polynomial.
    private static func isIrreducible(_ bits: UInt64) -> Bool {
        guard bits & 1 == 1, bits.nonzeroBitCount % 2 == 1 else { return false }
        var power: UInt64 = 2
        for _ in 0..<degree { power = product(power, power, modulo: bits) }
        return power == 2
    }

    private static func product(_ a: UInt64, _ b: UInt64, modulo polynomial: UInt64) -> UInt64 {
        var result: UInt64 = 0
        for bit in stride(from: degree - 1, through: 0, by: -1) {
            result <<= 1
            if result >> UInt64(degree) == 1 { result ^= polynomial }
            if b >> UInt64(bit) & 1 == 1 { result ^= a }
        }
        return result
    }

    /// The remainder of a value of up to degree 60.
    func remainder(_ value: UInt64) -> UInt64 {
        var rest = value
        for bit in stride(from: 63, through: Self.degree, by: -1) where rest >> UInt64(bit) & 1 == 1
        {
            rest ^= bits << UInt64(bit - Self.degree)
        }
        return rest
    }
}
