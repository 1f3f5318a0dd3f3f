import Foundation
import Testing

/// The built programs, a simulated phone behind a simulated cable, two drives, and restic as the
/// judge. One test at a time: each starts programs of its own, and two cores are few.
@Suite(.serialized) struct EndToEndTests {}
