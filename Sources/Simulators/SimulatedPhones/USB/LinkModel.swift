/// How fast the cable and the phone behind it are; everything is free by default.
package struct LinkModel: Sendable, Equatable {
    /// Bytes per second on the bulk endpoints; nil is unlimited. USB 2 carries about 35 MB/s.
    package var bytesPerSecond: Double?
    /// Time each URB takes besides its bytes.
    package var perTransfer: Duration = .zero
    /// Time each MTP operation takes before its answer.
    package var perOperation: Duration = .zero
    /// Time each object costs in a listing or when opened.
    package var perObject: Duration = .zero

    /// A link that costs nothing.
    package init() {}

    /// How long `count` bytes in one URB occupy the bus.
    func time(forBytes count: Int) -> Duration {
        guard let bytesPerSecond, bytesPerSecond > 0 else { return perTransfer }
        return perTransfer + .seconds(Double(count) / bytesPerSecond)
    }
}
